"""`record`: writes topics into an MCAP bag, where rosbag2 is not at hand. `ros2 bag` and Foxglove read it.

ros2 run sam2_ros record -o bag /image /sam2/prompts /sam2/masklets
"""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("record")  # before the imports that would fail

import argparse
import contextlib
import os
import sys
from pathlib import Path

import rclpy
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rclpy.utilities import remove_ros_args
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from sam2_ros.ros.discovery import matching_qos, message_type

DEPTH = 200  # messages that may wait for the disk
LOOK_AGAIN = 0.05  # s, for topics that nobody publishes yet


class Recorder(Node):
    """Listens to topics as soon as somebody publishes them, with the publishers' QoS, and writes what it hears.

    `close` it, or the bag is not complete.

    Args:
        path: folder of the bag; must not exist.
        topics: their names.

    Raises:
        WriterError: the folder exists already.
    """

    def __init__(self, path: Path | str, topics: list[str], **kwargs) -> None:
        super().__init__("recorder", **kwargs)
        self._writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        self._types = get_typestore(Stores.ROS2_JAZZY)
        self._missing = {self.resolve_topic_name(topic) for topic in topics}
        self.counts = dict.fromkeys(sorted(self._missing), 0)
        """Messages written so far, by topic."""
        self.create_timer(LOOK_AGAIN, self._look)

    def close(self) -> None:
        """Completes the bag."""
        for subscription in list(self.subscriptions):
            self.destroy_subscription(subscription)
        self._writer.close()

    def _look(self) -> None:
        for topic in sorted(self._missing):
            if publishers := self.get_publishers_info_by_topic(topic):
                self._missing.remove(topic)
                self._listen(topic, publishers)

    def _listen(self, topic: str, publishers: list[TopicEndpointInfo]) -> None:
        kind = publishers[0].topic_type
        try:
            message = message_type(publishers)
            self._learn(kind)
        except Exception as error:
            self.get_logger().error(f"{topic} is not recorded: its type {kind} is not known here ({error})")
            return
        offered = [_to_rosbags(publisher.qos_profile) for publisher in publishers]
        connection = self._writer.add_connection(topic, kind, typestore=self._types, offered_qos_profiles=offered)

        def write(data: bytes, info: dict[str, int]) -> None:
            # When it came, not when it was its turn here; but simulated time is known to our clock alone.
            simulated = self.get_clock().ros_time_is_active
            received = self.get_clock().now().nanoseconds if simulated else info["received_timestamp"]
            self._writer.write(connection, received, data)
            self.counts[topic] += 1

        self.create_subscription(message, topic, write, matching_qos(publishers, DEPTH), raw=True)
        self.get_logger().info(f"Recording {topic} ({kind})")

    def _learn(self, kind: str) -> None:
        """The definition of a type that is not one of ROS's own, and of the others in its package."""
        if kind in self._types.fielddefs:
            return
        package = kind.split("/")[0]
        for file in _definitions(package):
            self._types.register(get_types_from_msg(file.read_text(), f"{package}/msg/{file.stem}"))


def _definitions(package: str) -> list[Path]:
    """The .msg files of a package: of a sourced workspace, or of the ROS wheels in this environment."""
    for prefix in (*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix):
        if files := sorted(Path(prefix, "share", package, "msg").glob("*.msg")):
            return files
    raise FileNotFoundError(f"share/{package}/msg is in no folder of AMENT_PREFIX_PATH and not in {sys.prefix}")


def _to_rosbags(qos: QoSProfile) -> Qos:
    return Qos(
        history=QosHistory[qos.history.name],
        depth=qos.depth,
        reliability=QosReliability[qos.reliability.name],
        durability=QosDurability[qos.durability.name],
        deadline=_time(qos.deadline),
        lifespan=_time(qos.lifespan),
        liveliness=QosLiveliness[qos.liveliness.name],
        liveliness_lease_duration=_time(qos.liveliness_lease_duration),
        avoid_ros_namespace_conventions=qos.avoid_ros_namespace_conventions,
    )


def _time(duration: Duration) -> QosTime:
    return QosTime(*divmod(duration.nanoseconds, 1_000_000_000))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="record", description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder of the bag; must not exist")
    parser.add_argument("topics", nargs="+", help="what to record")
    return parser.parse_args(remove_ros_args(sys.argv)[1:])


def main() -> int:
    arguments = _arguments()
    rclpy.init()
    try:
        recorder = Recorder(arguments.output, arguments.topics)
    except (WriterError, OSError) as error:
        print(f"record: {error}", file=sys.stderr)
        return 1
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(recorder)
    recorder.close()
    for topic, count in recorder.counts.items():
        print(f"{count:6d}  {topic}")
    recorder.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
