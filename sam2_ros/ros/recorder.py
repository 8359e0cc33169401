"""`record`: writes topics into an MCAP bag, without rosbag2. `ros2 bag` and Foxglove read it.

ros2 run sam2_ros record -o bag /image /sam2/prompts /sam2/masklets
ros2 run sam2_ros record --recover bag        # after kill -9 or a power failure
"""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("record")  # before the imports that would fail

import argparse
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rclpy.validate_full_topic_name import validate_full_topic_name

from sam2_ros.command_line import CommandParser
from sam2_ros.data.bag_writer import BagWriter
from sam2_ros.data.recovery import recover_all
from sam2_ros.ros import parameter_files, process
from sam2_ros.ros.definitions import definition, message_class
from sam2_ros.ros.discovery import matching_qos

DESCRIPTION = "Writes topics into an MCAP bag, without rosbag2. `ros2 bag` and Foxglove read it."
EXAMPLES = """
%(prog)s -o run1 /camera/color/image_raw /sam2/applied_prompts /sam2/masklets
%(prog)s --recover run1      (after kill -9 or a power failure)
"""

QUEUE_DEPTH = 200
"""Maximum number of messages per topic that wait for the disk."""

DISCOVERY_PERIOD = 0.05
"""Seconds between checks for publishers of missing topics, and for publishers with incompatible QoS."""

FLUSH_PERIOD = 0.5
"""Maximum seconds until a message is written, so that kill -9 does not lose it."""

PROMPTS = "sam2_ros/msg/PromptArray"
RAW_IMAGE = "sensor_msgs/msg/Image"
LARGE_RATE = 1e9
"""Bytes per minute of raw images above which a warning is logged: 640x480 in colour at 18 images per second."""


@dataclass
class _Topic:
    """A recorded topic."""

    name: str
    kind: str
    qos: QoSProfile
    subscription: Subscription | None = None
    channel: int = -1
    """Channel number in the bag."""
    publishers: int = 0
    messages: int = 0
    lost: int = 0
    """Messages lost in transit, as DDS reports."""
    size: int = 0
    """Bytes."""
    first_received: int = 0
    """Time of receipt of the first message, ns."""
    has_size_warning: bool = False


class Recorder(Node):
    """Subscribes to topics as soon as they are published, with the publishers' QoS, and writes their messages.

    A topic that cannot be recorded is logged, and the others are recorded. Spinning raises OSError when the bag can no
    longer be written. The bag is incomplete until `close`.

    Args:
        path: folder of the bag; must not exist.
        topics: names of the topics to record.

    Raises:
        ValueError: a name is not a valid topic name.
        OSError: the folder exists already, or cannot be written.
    """

    def __init__(self, path: Path | str, topics: list[str], **kwargs) -> None:
        super().__init__("recorder", **kwargs)
        parameter_files.warn_of_unused(self, sys.argv)
        self._recorded: dict[str, _Topic] = {}
        self._unpublished = {_full_name(self, topic) for topic in topics}
        self._names = sorted(self._unpublished)
        self._refused: dict[str, set[str]] = {name: set() for name in self._names}  # types by topic
        self._incompatible: set[str] = set()  # topics with a publisher whose QoS does not match
        # Not ROS time: /clock may stand still or not be published.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(DISCOVERY_PERIOD, self._discover, clock=steady)
        self.create_timer(FLUSH_PERIOD, self._flush, clock=steady)
        self.bag = BagWriter(Path(path))  # last, so that an error above leaves no folder

    @property
    def counts(self) -> dict[str, int]:
        """Number of messages in the bag, by topic; final after `close`."""
        return {**dict.fromkeys(self._names, 0), **self.bag.counts}

    @property
    def lost(self) -> dict[str, int]:
        """Number of messages that did not arrive, by topic; only topics with losses."""
        return {topic.name: topic.lost for topic in self._recorded.values() if topic.lost}

    @property
    def empty(self) -> dict[str, str]:
        """Topics on which nothing came, and why."""
        lost = self.lost
        return {name: self._why_empty(name) for name, count in self.counts.items() if not count and name not in lost}

    def _why_empty(self, name: str) -> str:
        if name not in self._recorded:
            return "it could not be recorded" if self._refused[name] else "nobody published it"
        if self._recorded[name].kind == PROMPTS:
            return "the objects cannot be replayed; start recording before you prompt"
        return "nothing was published while recording"

    def close(self) -> None:
        """Completes the bag. Raises OSError if something is missing in it: see BagWriter."""
        self.bag.close()

    def _discover(self) -> None:
        for name in sorted(self._unpublished):
            publishers = self.get_publishers_info_by_topic(name)
            usable = [publisher for publisher in publishers if publisher.topic_type not in self._refused[name]]
            if usable and self._start_topic(name, usable):
                self._unpublished.remove(name)
        while self._incompatible:
            self._relax_qos(self._recorded[self._incompatible.pop()])

    def _flush(self) -> None:
        self.bag.flush()
        for topic in self._recorded.values():
            if (count := self.count_publishers(topic.name)) != topic.publishers:
                topic.publishers = count
                self._check_types(topic)
                self._relax_qos(topic)
            if topic.kind == RAW_IMAGE and not topic.has_size_warning:
                self._warn_of_size(topic)

    def _start_topic(self, name: str, publishers: list[TopicEndpointInfo]) -> bool:
        """Starts recording a topic. Returns False if it cannot be recorded."""
        (kind, _), *_ = Counter(publisher.topic_type for publisher in publishers).most_common()
        publishers = [publisher for publisher in publishers if publisher.topic_type == kind]
        topic = _Topic(name, kind, matching_qos(publishers, QUEUE_DEPTH))
        try:
            # The hash is not in Humble.
            text, type_hash = definition(kind, str(getattr(publishers[0], "topic_type_hash", "")))
            self._subscribe(topic)
        except Exception as error:  # its package is not installed, or is broken
            self._refused[name].add(kind)
            reason = " ".join(str(error).split()) or type(error).__name__
            hint = f"; source the workspace that has {kind.split('/')[0]}" if isinstance(error, ImportError) else ""
            self.get_logger().error(f"{name} is not recorded: {kind} cannot be used here ({reason}){hint}")
            return False
        offered = [_qos_entry(publisher.qos_profile) for publisher in publishers]
        topic.channel = self.bag.add_topic(name, kind, text, type_hash, offered)
        self._recorded[name] = topic
        self.get_logger().info(f"Recording {name} ({kind})")
        return True

    def _subscribe(self, topic: _Topic) -> None:
        def write(data: bytes, info: dict[str, int]) -> None:
            # The time of receipt rather than of this callback; but only the node's clock has simulated time.
            clock = self.get_clock()
            received = 0 if clock.ros_time_is_active else info["received_timestamp"]
            received = received or max(0, clock.now().nanoseconds)
            self.bag.write(topic.channel, received, data)
            topic.first_received = topic.first_received or received
            topic.messages += 1
            topic.size += len(data)

        def on_incompatible_qos(_: object) -> None:
            self._incompatible.add(topic.name)

        def on_message_lost(info: QoSMessageLostInfo) -> None:
            topic.lost += info.total_count_change
            hint = "the machine is too slow, or large images get lost (README)"
            self.get_logger().warning(
                f"{topic.lost} messages of {topic.name} did not arrive: {hint}", throttle_duration_sec=10.0
            )

        topic.subscription = self.create_subscription(
            message_class(topic.kind),
            topic.name,
            write,
            topic.qos,
            raw=True,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=on_incompatible_qos, message_lost=on_message_lost
            ),
        )

    def _relax_qos(self, topic: _Topic) -> None:
        """Subscribes again with weaker QoS if a new publisher offers less."""
        publishers = [info for info in self.get_publishers_info_by_topic(topic.name) if info.topic_type == topic.kind]
        qos = matching_qos(publishers, QUEUE_DEPTH)
        weaker = (qos.reliability, topic.qos.reliability) == (ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE)
        weaker = weaker or (qos.durability, topic.qos.durability) == (
            DurabilityPolicy.VOLATILE,
            DurabilityPolicy.TRANSIENT_LOCAL,
        )
        if publishers and weaker:
            self.destroy_subscription(topic.subscription)
            topic.qos = qos
            self._subscribe(topic)
            self.get_logger().info(
                f"{topic.name} is subscribed to as {qos.reliability.name}, {qos.durability.name} from now on: not"
                " all of its publishers offer more"
            )

    def _check_types(self, topic: _Topic) -> None:
        for kind in {info.topic_type for info in self.get_publishers_info_by_topic(topic.name)} - {topic.kind}:
            if kind not in self._refused[topic.name]:
                self._refused[topic.name].add(kind)
                self.get_logger().error(f"{kind} on {topic.name} is not recorded: the bag has it as {topic.kind}")

    def _warn_of_size(self, topic: _Topic) -> None:
        """Warns of the data rate of large raw images, and suggests compressed ones."""
        seconds = (self.get_clock().now().nanoseconds - topic.first_received) / 1e9
        if topic.messages < 10 or seconds < 1:
            return
        topic.has_size_warning = True
        if (rate := 60 * topic.size / seconds) < LARGE_RATE:
            return
        written = sum(recorded.size for recorded in self._recorded.values())
        on_disk = rate * min(1.0, self.bag.size / written)
        minutes = self.bag.free / on_disk
        smaller = f"{topic.name}/compressed"
        hint = "is published, too, and" if self.count_publishers(smaller) else "(image_transport)"
        self.get_logger().warning(
            f"Raw images on {topic.name} are {rate / 1e9:.1f} GB a minute, {on_disk / 1e9:.1f} GB in the bag; the disk"
            f" has room for {minutes:.0f} minutes. {smaller} {hint} takes a tenth or less"
        )


def _full_name(node: Node, topic: str) -> str:
    """A topic's full name. Raises ValueError."""
    try:
        name = node.resolve_topic_name(topic)
        validate_full_topic_name(name)
    except Exception as error:  # rcl, rmw and rclpy have one class of errors each
        reason = re.sub(r"failed to resolve name: |, at \S+:\d+", "", str(error).splitlines()[0])
        raise ValueError(f"{topic!r} is not a topic name: {reason}") from error
    return name


def _qos_entry(qos: QoSProfile) -> dict[str, Any]:
    """The QoS of a publisher as rosbag2 writes it."""
    return {
        "history": qos.history.name.lower(),
        "depth": qos.depth,
        "reliability": qos.reliability.name.lower(),
        "durability": qos.durability.name.lower(),
        "deadline": _duration_entry(qos.deadline),
        "lifespan": _duration_entry(qos.lifespan),
        "liveliness": qos.liveliness.name.lower(),
        "liveliness_lease_duration": _duration_entry(qos.liveliness_lease_duration),
        "avoid_ros_namespace_conventions": qos.avoid_ros_namespace_conventions,
    }


def _duration_entry(duration: Duration) -> dict[str, int]:
    sec, nsec = divmod(duration.nanoseconds, 1_000_000_000)
    return {"sec": sec, "nsec": nsec}


def _arguments() -> argparse.Namespace:
    parser = CommandParser("sam2_ros.ros.recorder", DESCRIPTION, EXAMPLES)
    parser.add_argument("-o", "--output", type=Path, help="folder of the bag; must not exist")
    parser.add_argument("topics", nargs="*", help="topics to record")
    recover = "only complete bags whose recording was cut off by kill -9 or a power failure"
    parser.add_argument("--recover", nargs="+", type=Path, metavar="BAG", help=recover)
    arguments = parser.parse_args(process.own_arguments("record"))
    if arguments.recover and (arguments.output or arguments.topics):
        parser.error("--recover takes no other arguments than the bags to complete")
    if not arguments.recover and not (arguments.output and arguments.topics):
        parser.error("-o FOLDER and the topics to record are needed")
    return arguments


def _record(path: Path, topics: list[str]) -> int:
    try:
        recorder = Recorder(path, topics)
    except ValueError as error:
        print(f"record: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        reason = "exists already; record makes a new folder" if isinstance(error, FileExistsError) else error.strerror
        print(f"record: {error.filename or path}: {reason}", file=sys.stderr)
        return 1
    except Exception as error:  # from rcl: no network, for instance
        if rclpy.ok():  # otherwise a signal has arrived in the meantime
            print(f"record: {' '.join(str(error).split())}", file=sys.stderr)
            return 1
        return 0
    failures: list[OSError] = []
    try:
        rclpy.spin(recorder)
    except ExternalShutdownException:
        pass
    except OSError as error:
        failures.append(error)
    except Exception:
        if rclpy.ok():
            raise
    finally:  # whatever the error, what was recorded stays readable
        try:
            recorder.close()
        except OSError as error:
            failures.append(error)
    recorder.destroy_node()
    for topic, count in recorder.counts.items():
        note = ""
        if lost := recorder.lost.get(topic):
            note = f"  ({lost} did not arrive)"
        elif why := recorder.empty.get(topic):
            note = f"  (empty: {why})"
        print(f"{count:6d}  {topic}{note}")
    for error in failures[:1]:
        if recorder.bag.is_complete:
            state = "recording ended there; what was recorded until then is complete and can be read"
        elif not recorder.bag.exists:
            state = "nothing is left of it"
        else:
            state = f"the bag is not complete; `record --recover {path}` may complete it"
        print(f"record: {path}: {error.strerror}; {state}", file=sys.stderr)
    return 1 if failures else 0


def main() -> int:
    arguments = _arguments()
    if arguments.recover:
        return recover_all(arguments.recover)
    # Without a timeout: the bag is completed however slow the disk is.
    return process.run("record", lambda: _record(arguments.output, arguments.topics), exit_timeout=None)


if __name__ == "__main__":
    sys.exit(main())
