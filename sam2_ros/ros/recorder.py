"""`record`: writes topics into an MCAP bag, where rosbag2 is not at hand. `ros2 bag` and Foxglove read it.

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

from sam2_ros.data.bag_writer import BagWriter
from sam2_ros.data.recovery import recover_all
from sam2_ros.ros import parameter_files, process
from sam2_ros.ros.definitions import definition, message_class
from sam2_ros.ros.discovery import matching_qos

DEPTH = 200
"""Messages that may wait for the disk."""

LOOK_AGAIN = 0.05
"""s, for topics that nobody publishes yet, and publishers that have to be heard in another way."""

FLUSH = 0.5
"""s after which a message is written at the latest, so that kill -9 does not lose it."""

RAW_IMAGE = "sensor_msgs/msg/Image"
MUCH = 1e9
"""Bytes a minute of raw images above which something is said: 640x480 in colour at 18 a second."""


@dataclass
class _Topic:
    """One that is recorded."""

    name: str
    kind: str
    qos: QoSProfile
    subscription: Subscription | None = None
    number: int = -1
    """In the bag."""
    publishers: int = 0
    messages: int = 0
    lost: int = 0
    """On the way here, as far as DDS knows."""
    size: int = 0
    """Bytes."""
    first: int = 0
    """When the first message came, ns."""
    is_hinted: bool = False


class Recorder(Node):
    """Listens to topics as soon as somebody publishes them, with the publishers' QoS, and writes what it hears.

    A topic that cannot be recorded is named in the log, and the others go on. Spinning raises OSError when the bag
    can't be written any more. `close` it, or the bag is not complete.

    Args:
        path: folder of the bag; must not exist.
        topics: their names.

    Raises:
        ValueError: a topic cannot be called so.
        OSError: the folder exists already, or cannot be written.
    """

    def __init__(self, path: Path | str, topics: list[str], **kwargs) -> None:
        super().__init__("recorder", **kwargs)
        parameter_files.warn_of_unused(self, sys.argv)
        self._recorded: dict[str, _Topic] = {}
        self._missing = {_checked(self, topic) for topic in topics}
        self._names = sorted(self._missing)
        self._refused: dict[str, set[str]] = {name: set() for name in self._names}  # types, by topic
        self._unheard: set[str] = set()  # topics with a publisher whose QoS does not fit
        # Of their own: /clock may stand still, or not be there.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(LOOK_AGAIN, self._look, clock=steady)
        self.create_timer(FLUSH, self._flush, clock=steady)
        self.bag = BagWriter(Path(path))  # at last: whatever fails before leaves no folder

    @property
    def counts(self) -> dict[str, int]:
        """Messages in the bag, by topic; after `close`, all of them."""
        return {**dict.fromkeys(self._names, 0), **self.bag.counts}

    @property
    def lost(self) -> dict[str, int]:
        """Messages that did not arrive, by topic; only those topics of which some did not."""
        return {topic.name: topic.lost for topic in self._recorded.values() if topic.lost}

    def close(self) -> None:
        """Completes the bag. Raises OSError if something is missing in it: see BagWriter."""
        self.bag.close()

    def _look(self) -> None:
        for name in sorted(self._missing):
            publishers = self.get_publishers_info_by_topic(name)
            known = [one for one in publishers if one.topic_type not in self._refused[name]]
            if known and self._listen(name, known):
                self._missing.remove(name)
        while self._unheard:
            self._hear_all(self._recorded[self._unheard.pop()])

    def _flush(self) -> None:
        self.bag.flush()
        for topic in self._recorded.values():
            if (count := self.count_publishers(topic.name)) != topic.publishers:
                topic.publishers = count
                self._check_types(topic)
                self._hear_all(topic)
            if topic.kind == RAW_IMAGE and not topic.is_hinted:
                self._hint(topic)

    def _listen(self, name: str, publishers: list[TopicEndpointInfo]) -> bool:
        """Whether a topic is recorded from now on."""
        (kind, _), *_ = Counter(one.topic_type for one in publishers).most_common()
        publishers = [one for one in publishers if one.topic_type == kind]
        topic = _Topic(name, kind, matching_qos(publishers, DEPTH))
        try:
            # The hash is not in Humble.
            text, type_hash = definition(kind, str(getattr(publishers[0], "topic_type_hash", "")))
            self._subscribe(topic)
        except Exception as error:  # its package is not installed, or not as it should be
            self._refused[name].add(kind)
            reason = " ".join(str(error).split()) or type(error).__name__
            hint = f"; source the workspace that has {kind.split('/')[0]}" if isinstance(error, ImportError) else ""
            self.get_logger().error(f"{name} is not recorded: {kind} cannot be used here ({reason}){hint}")
            return False
        offered = [_offered(one.qos_profile) for one in publishers]
        topic.number = self.bag.add_topic(name, kind, text, type_hash, offered)
        self._recorded[name] = topic
        self.get_logger().info(f"Recording {name} ({kind})")
        return True

    def _subscribe(self, topic: _Topic) -> None:
        def write(data: bytes, info: dict[str, int]) -> None:
            # When it came, not when it was its turn here; but simulated time is known to our clock alone.
            clock = self.get_clock()
            received = 0 if clock.ros_time_is_active else info["received_timestamp"]
            received = received or max(0, clock.now().nanoseconds)
            self.bag.write(topic.number, received, data)
            topic.first = topic.first or received
            topic.messages += 1
            topic.size += len(data)

        def less(_: object) -> None:
            self._unheard.add(topic.name)

        def lost(info: QoSMessageLostInfo) -> None:
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
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=less, message_lost=lost),
        )

    def _hear_all(self, topic: _Topic) -> None:
        """Asks for less where a publisher has come that gives less."""
        publishers = [one for one in self.get_publishers_info_by_topic(topic.name) if one.topic_type == topic.kind]
        qos = matching_qos(publishers, DEPTH)
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
                f"{topic.name} is heard as {qos.reliability.name}, {qos.durability.name} from now on: not all of its"
                " publishers give more"
            )

    def _check_types(self, topic: _Topic) -> None:
        for kind in {one.topic_type for one in self.get_publishers_info_by_topic(topic.name)} - {topic.kind}:
            if kind not in self._refused[topic.name]:
                self._refused[topic.name].add(kind)
                self.get_logger().error(f"{kind} on {topic.name} is not recorded: the bag has it as {topic.kind}")

    def _hint(self, topic: _Topic) -> None:
        """Says what would be smaller."""
        seconds = (self.get_clock().now().nanoseconds - topic.first) / 1e9
        if topic.messages < 10 or seconds < 1:
            return
        topic.is_hinted = True
        if (rate := 60 * topic.size / seconds) < MUCH:
            return
        written = sum(one.size for one in self._recorded.values())
        on_disk = rate * min(1.0, self.bag.size / written)
        minutes = self.bag.free / on_disk
        smaller = f"{topic.name}/compressed"
        where = "is published, too, and" if self.count_publishers(smaller) else "(image_transport)"
        self.get_logger().warning(
            f"Raw images on {topic.name} are {rate / 1e9:.1f} GB a minute, {on_disk / 1e9:.1f} GB in the bag; the disk"
            f" has room for {minutes:.0f} minutes. {smaller} {where} takes a tenth or less"
        )


def _checked(node: Node, topic: str) -> str:
    """A topic's full name. Raises ValueError."""
    try:
        name = node.resolve_topic_name(topic)
        validate_full_topic_name(name)
    except Exception as error:  # of rcl, rmw and rclpy, each its own
        reason = re.sub(r"failed to resolve name: |, at \S+:\d+", "", str(error).splitlines()[0])
        raise ValueError(f"{topic!r} is no name of a topic: {reason}") from error
    return name


def _offered(qos: QoSProfile) -> dict[str, Any]:
    """What a publisher offers, as rosbag2 writes it."""
    return {
        "history": qos.history.name.lower(),
        "depth": qos.depth,
        "reliability": qos.reliability.name.lower(),
        "durability": qos.durability.name.lower(),
        "deadline": _time(qos.deadline),
        "lifespan": _time(qos.lifespan),
        "liveliness": qos.liveliness.name.lower(),
        "liveliness_lease_duration": _time(qos.liveliness_lease_duration),
        "avoid_ros_namespace_conventions": qos.avoid_ros_namespace_conventions,
    }


def _time(duration: Duration) -> dict[str, int]:
    sec, nsec = divmod(duration.nanoseconds, 1_000_000_000)
    return {"sec": sec, "nsec": nsec}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="record", description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="folder of the bag; must not exist")
    parser.add_argument("topics", nargs="*", help="what to record")
    recover = "record nothing; complete bags whose recording was cut off by kill -9 or a power failure"
    parser.add_argument("--recover", nargs="+", type=Path, metavar="BAG", help=recover)
    arguments = parser.parse_args(process.own_arguments("record"))
    if arguments.recover and (arguments.output or arguments.topics):
        parser.error("--recover stands alone, with the bags to complete")
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
    except Exception as error:  # of rcl: no network, for instance
        if rclpy.ok():  # else a signal came meanwhile
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
    finally:  # whatever it was, what was recorded stays readable
        try:
            recorder.close()
        except OSError as error:
            failures.append(error)
    recorder.destroy_node()
    for topic, count in recorder.counts.items():
        lost = recorder.lost.get(topic, 0)
        print(f"{count:6d}  {topic}" + (f"  ({lost} did not arrive)" if lost else ""))
    for error in failures[:1]:
        if recorder.bag.is_complete:
            state = "recording ended there; what was recorded until then is complete and can be read"
        elif not recorder.bag.is_there:
            state = "nothing is left of it"
        else:
            state = f"the bag is not complete; `record --recover {path}` may complete it"
        print(f"record: {path}: {error.strerror}; {state}", file=sys.stderr)
    return 1 if failures else 0


def main() -> int:
    arguments = _arguments()
    if arguments.recover:
        return recover_all(arguments.recover)
    # However long the disk takes, the bag is completed.
    return process.run("record", lambda: _record(arguments.output, arguments.topics), patience=None)


if __name__ == "__main__":
    sys.exit(main())
