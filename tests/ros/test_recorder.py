"""The recorder as a process on real topics, ended in every way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import message_packages
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from mcap.reader import make_reader
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.service_introspection import ServiceIntrospectionState
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Float64, Header, String
from std_srvs.srv import Trigger

from sam2_ros.data.bag_writer import BagWriter
from sam2_ros.data.mcap_scan import Scan
from sam2_ros.msg import PromptArray
from sam2_ros.ros.definitions import definition
from sam2_ros.ros.recording import read_recording

TIMEOUT = 60.0  # s; only failures take so long
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Talker:
    """A publishing node with a DDS participant of its own."""

    def __init__(self) -> None:
        self.context = Context()
        rclpy.init(context=self.context)
        self.node = Node("talker", context=self.context)

    def publisher(self, kind: type, topic: str, qos: QoSProfile | int = 100) -> Publisher:
        return self.node.create_publisher(kind, topic, qos)

    def close(self) -> None:
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def talker(ros_domain: int) -> Iterator[Talker]:
    talker = Talker()
    yield talker
    talker.close()


@pytest.fixture
def other(ros_domain: int) -> Iterator[Talker]:
    """A second participant, since one can have only a single type per topic."""
    talker = Talker()
    yield talker
    talker.close()


class Recording:
    """A recorder process."""

    def __init__(self, folder: Path, *topics: str, environment: dict[str, str] | None = None, room: int = 0) -> None:
        self.bag = folder / "bag"
        self.log = folder / "recorder.log"
        command = [sys.executable, "-m", "sam2_ros.ros.recorder", "-o", str(self.bag), *topics]
        if room:
            command = ["prlimit", f"--fsize={room}", *command]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **(environment or {}), "PYTHONUNBUFFERED": "1"}
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_for_messages(self, number: int) -> None:
        """Waits until `number` messages are on the disk, in whole chunks."""

        def written() -> int:
            with open(self.bag / "bag.mcap", "rb") as file:
                return sum(Scan(file, self.bag).index.counts.values())

        self.wait_for(lambda: written() >= number, "for messages on the disk")

    def wait_for(self, event: Callable[[], bool], purpose: str = "") -> None:
        deadline = time.monotonic() + TIMEOUT
        while not event():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, f"waited in vain {purpose}\n{self.output}"
            time.sleep(0.01)

    def wait_until_subscribed(self, *publishers: Publisher) -> None:
        self.wait_for(lambda: all(publisher.get_subscription_count() for publisher in publishers), "for the recorder")

    def end(self, kind: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(kind)
        return self.process.wait(TIMEOUT)


@pytest.fixture
def record(tmp_path: Path, talker: Talker) -> Iterator[Callable[..., Recording]]:
    started: list[Recording] = []

    def start(*topics: str, **options) -> Recording:
        folder = tmp_path / f"recording{len(started)}"
        folder.mkdir()
        started.append(Recording(folder, *topics, **options))
        return started[-1]

    yield start
    for recording in started:
        recording.process.kill()
        recording.process.wait()


def contents(bag: Path, but: str = "") -> dict[str, list]:
    """Messages by topic, as rosbags reads them, after a check that mcap reads as many."""
    messages: dict[str, list] = {}
    with AnyReader([bag]) as reader:
        for connection, _, data in reader.messages(entry for entry in reader.connections if entry.topic != but):
            messages.setdefault(connection.topic, []).append(reader.deserialize(data, connection.msgtype))
    with open(next(bag.glob("*.mcap")), "rb") as stream:
        records = make_reader(stream, validate_crcs=True).iter_messages()
        read = [message for _, channel, message in records if channel.topic != but]
    assert len(read) == sum(map(len, messages.values()))
    return messages


def texts(bag: Path, topic: str = "/text") -> list[str]:
    return [message.data for message in contents(bag).get(topic, [])]


def test_published_messages_are_in_the_bag(record, talker: Talker) -> None:
    text, number = talker.publisher(String, "/text", LATCHED), talker.publisher(Float64, "/number", BEST_EFFORT)
    text.publish(String(data="before"))
    recording = record("text", "/number", "/unpublished")
    recording.wait_until_subscribed(text, number)
    text.publish(String(data="after"))
    number.publish(Float64(data=1.5))
    recording.wait_for_messages(3)
    assert recording.end() == 0, recording.output
    messages = contents(recording.bag)
    assert [message.data for message in messages["/text"]] == ["before", "after"]
    assert [message.data for message in messages["/number"]] == [1.5]
    assert "     2  /text\n" in recording.output
    assert "     0  /unpublished  (empty: nobody published it)\n" in recording.output
    with AnyReader([recording.bag]) as reader:
        by_topic = {connection.topic: connection for connection in reader.connections}
    assert by_topic["/text"].digest == get_typestore(Stores.ROS2_JAZZY).hash_rihs01("std_msgs/msg/String")
    assert by_topic["/text"].ext.offered_qos_profiles[0].durability.name == "TRANSIENT_LOCAL"
    assert "MSG: std_msgs/Header" not in by_topic["/text"].msgdef.data


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two message packages, one of which refers to the other, built as on a robot; about ten seconds."""
    prefix = tmp_path_factory.mktemp("workspace") / "install"
    message_packages.build(prefix, "basis_msgs", "robot_msgs")
    return prefix


@pytest.fixture
def sourced(workspace: Path) -> dict[str, str]:
    """The environment after sourcing that workspace."""
    return message_packages.environment_of(workspace)


STATUS = """
import time, rclpy
from basis_msgs.msg import Quality, Words
from robot_msgs.msg import Status
rclpy.init()
node = rclpy.create_node("status")
publisher = node.create_publisher(Status, "/status", 10)
words = node.create_publisher(Words, "/words", 10)
quality = Quality(score=0.25, name="good")
message = Status(quality=quality, several=[quality] * 2, fixed=[1.0, 2.0, 3.0, 4.0], names=["a", "b"])
while True:
    publisher.publish(message)
    words.publish(Words(words="größer"))
    time.sleep(0.02)
"""


def test_nested_message_types_of_other_packages(record, talker: Talker, sourced: dict[str, str]) -> None:
    text = talker.publisher(String, "/text")
    recording = record("/text", "/status", "/words", environment=sourced)
    status = subprocess.Popen([sys.executable, "-c", STATUS], env={**os.environ, **sourced})
    try:
        recording.wait_until_subscribed(text)
        text.publish(String(data="hello"))
        recording.wait_for(lambda: all(f"Recording {topic}" in recording.output for topic in ("/status", "/words")))
        recording.wait_for_messages(4)
        assert recording.end() == 0, recording.output
    finally:
        status.kill()
        status.wait()
    messages = contents(recording.bag, but="/words")  # which rosbags cannot decode
    assert [message.data for message in messages["/text"]] == ["hello"]
    message = messages["/status"][0]
    assert (message.names, message.fixed.tolist()) == (["a", "b"], [1, 2, 3, 4])
    assert [quality.name for quality in message.several] == ["good", "good"] and message.quality.score == 0.25
    with AnyReader([recording.bag]) as reader:
        by_topic = {each.topic: each for each in reader.connections}
    assert by_topic["/words"].msgdef.data == "wstring words\n" and by_topic["/words"].msgcount > 0
    definition = by_topic["/status"].msgdef.data
    assert "int32 LIMIT=7" in definition and "MSG: basis_msgs/Quality" in definition and "# how it is" in definition


def test_unrecordable_topic_is_logged_and_others_are_recorded(
    record, talker: Talker, sourced: dict[str, str], tmp_path: Path
) -> None:
    text, diagnostics = talker.publisher(String, "/text"), talker.publisher(DiagnosticArray, "/diagnostics")
    (tmp_path / "empty/diagnostic_msgs").mkdir(parents=True)
    (tmp_path / "empty/diagnostic_msgs/__init__.py").touch()
    path = f"{tmp_path / 'empty'}:{os.environ.get('PYTHONPATH', '')}"
    recording = record("/text", "/status", "/diagnostics", environment={"PYTHONPATH": path})
    status = subprocess.Popen([sys.executable, "-c", STATUS], env={**os.environ, **sourced})
    try:
        recording.wait_until_subscribed(text)
        recording.wait_for(lambda: recording.output.count(" is not recorded: ") == 2, "for the reasons")
        text.publish(String(data="hello"))
        recording.wait_for_messages(1)
    finally:
        status.kill()
        status.wait()
    assert diagnostics.get_subscription_count() == 0
    assert recording.end() == 0, recording.output
    assert texts(recording.bag) == ["hello"]
    assert "/status is not recorded: robot_msgs/msg/Status cannot be used here" in recording.output
    assert "source the workspace that has robot_msgs" in recording.output
    assert "/diagnostics is not recorded: diagnostic_msgs/msg/DiagnosticArray cannot be used here" in recording.output
    assert "Traceback" not in recording.output


def test_topic_with_two_types(record, talker: Talker, other: Talker) -> None:
    text = talker.publisher(String, "/text")
    recording = record("/text")
    recording.wait_until_subscribed(text)
    number = other.publisher(Float64, "/text")
    number.publish(Float64())
    recording.wait_for(lambda: "std_msgs/msg/Float64 on /text is not recorded" in recording.output)
    text.publish(String(data="hello"))
    recording.wait_for_messages(1)
    assert recording.end() == 0
    assert texts(recording.bag) == ["hello"]


def test_publisher_with_weaker_qos_is_recorded_too(record, talker: Talker, other: Talker) -> None:
    text = talker.publisher(String, "/text", LATCHED)
    recording = record("/text")
    recording.wait_until_subscribed(text)
    late = other.publisher(String, "/text", BEST_EFFORT)
    recording.wait_until_subscribed(late)
    recording.wait_until_subscribed(text)
    late.publish(String(data="from the second"))
    text.publish(String(data="from the first"))
    recording.wait_for_messages(2)
    assert "BEST_EFFORT, VOLATILE from now on" in recording.output
    assert recording.end() == 0
    assert sorted(texts(recording.bag)) == ["from the first", "from the second"]


def test_service_calls_can_be_recorded(record, talker: Talker) -> None:
    service = talker.node.create_service(Trigger, "/go", lambda request, response: response)
    service.configure_introspection(talker.node.get_clock(), QoSProfile(depth=10), ServiceIntrospectionState.CONTENTS)
    text, client = talker.publisher(String, "/text"), talker.node.create_client(Trigger, "/go")
    recording = record("/text", "/go/_service_event")
    recording.wait_until_subscribed(text)
    recording.wait_for(lambda: "Recording /go/_service_event" in recording.output)
    executor = SingleThreadedExecutor(context=talker.context)
    executor.add_node(talker.node)
    executor.spin_until_future_complete(client.call_async(Trigger.Request()), TIMEOUT)
    text.publish(String(data="hello"))
    recording.wait_for_messages(3)
    assert recording.end() == 0
    executor.shutdown()
    messages = contents(recording.bag, but="/go/_service_event")
    assert [message.data for message in messages["/text"]] == ["hello"], "other topics can be read"


def test_bag_without_prompts_says_that_they_came_before_it(record, talker: Talker) -> None:
    prompts, number = talker.publisher(PromptArray, "/prompts"), talker.publisher(Float64, "/number")
    prompts.publish(PromptArray())
    recording = record("/prompts", "/number")
    recording.wait_until_subscribed(prompts, number)
    assert recording.end() == 0, recording.output
    assert (
        "     0  /prompts  (empty: the objects cannot be replayed; start recording before you prompt)"
        in recording.output
    )
    assert "     0  /number  (empty: nothing was published while recording)" in recording.output


def test_unreadable_recording_is_one_line(tmp_path: Path) -> None:
    kind = "sam2_ros/msg/PromptArray"
    bag = BagWriter(tmp_path / "bag")
    topic = bag.add_topic("/sam2/prompts", kind, definition(kind)[0], "", [])
    bag.write(topic, 1, b"\0\1\0\0short")
    bag.close()
    with pytest.raises(ValueError, match="bag cannot be read: ") as refused:
        read_recording(bag.folder)
    assert "\n" not in str(refused.value)


def test_records_while_sim_time_is_paused(record, talker: Talker) -> None:
    text = talker.publisher(String, "/text")
    recording = record("/text", "--ros-args", "-p", "use_sim_time:=true")
    recording.wait_until_subscribed(text)
    text.publish(String(data="hello"))
    recording.wait_for_messages(1)
    assert recording.end() == 0
    assert texts(recording.bag) == ["hello"]


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda kind: kind.name)
def test_bag_is_complete_after_every_signal(record, talker: Talker, kind: signal.Signals) -> None:
    text = talker.publisher(String, "/text")
    recording = record("/text")
    recording.wait_until_subscribed(text)
    text.publish(String(data="hello"))
    recording.wait_for_messages(1)
    assert recording.end(kind) == 0, recording.output
    assert texts(recording.bag) == ["hello"]
    assert "Traceback" not in recording.output


def test_recovery_after_kill_9(record, talker: Talker, capsys) -> None:
    text = talker.publisher(String, "/text")
    recording = record("/text")
    recording.wait_until_subscribed(text)
    for index in range(20):
        text.publish(String(data=f"message {index}"))
    recording.wait_for_messages(1)  # even if the chunk is small
    recording.end(signal.SIGKILL)

    with pytest.raises(ValueError, match=r"sam2_ros recover"):
        read_recording(recording.bag)
    for _ in range(2):  # a second recovery changes nothing
        completed = subprocess.run(
            [sys.executable, "-m", "sam2_ros.ros.recorder", "--recover", str(recording.bag)],
            capture_output=True,
            text=True,
        )
        assert completed.returncode == 0 and "complete" in completed.stdout, completed.stderr
    messages = texts(recording.bag)
    assert messages and messages == [f"message {index}" for index in range(len(messages))]
    read_recording(recording.bag)


def test_full_disk_is_one_line_and_the_bag_is_complete(record, talker: Talker) -> None:
    image = talker.publisher(CompressedImage, "/image")
    recording = record("/image", room=3_000_000)
    recording.wait_until_subscribed(image)
    picture = CompressedImage(header=Header(), format="jpeg", data=os.urandom(100_000))
    deadline = time.monotonic() + TIMEOUT
    while recording.process.poll() is None and time.monotonic() < deadline:
        image.publish(picture)
        time.sleep(0.01)
    assert recording.process.wait(TIMEOUT) == 1
    assert "File too large; recording ended there; what was recorded until then is complete" in recording.output
    assert "Traceback" not in recording.output
    assert len(contents(recording.bag)["/image"]) > 10


def test_deleted_bag_ends_the_recording(record, talker: Talker) -> None:
    text = talker.publisher(String, "/text")
    recording = record("/text")
    recording.wait_until_subscribed(text)
    shutil.rmtree(recording.bag)
    assert recording.process.wait(TIMEOUT) == 1
    assert (
        "deleted while it was being recorded; nothing is left of it" in recording.output
        and "Traceback" not in recording.output
    )


def test_high_data_rate_of_raw_images_warns(record, talker: Talker) -> None:
    image = talker.publisher(Image, "/image")
    talker.publisher(CompressedImage, "/image/compressed")
    recording = record("/image")
    recording.wait_until_subscribed(image)
    picture = Image(height=480, width=640, encoding="rgb8", step=1920, data=np.zeros(480 * 1920, np.uint8).tobytes())

    def publish_until_logged() -> bool:
        image.publish(picture)
        return "GB a minute" in recording.output

    recording.wait_for(publish_until_logged)
    assert "/image/compressed is published, too, and takes a tenth or less" in recording.output
    assert recording.end() == 0
    assert (recording.bag / "bag.mcap").stat().st_size < 1_000_000, "the bag is compressed"


def test_lost_messages_are_counted(record, talker: Talker) -> None:
    image = talker.publisher(Image, "/image", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    recording = record("/image")
    recording.wait_until_subscribed(image)
    picture = Image(height=1500, width=2000, encoding="rgb8", step=6000, data=bytes(1500 * 6000))

    def publish_until_logged() -> bool:  # more than fits into the small default buffers of DDS
        image.publish(picture)
        return "messages of /image did not arrive" in recording.output

    recording.wait_for(publish_until_logged)
    assert recording.end() == 0
    assert "did not arrive)" in recording.output.splitlines()[-1]


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "sam2_ros.ros.recorder", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)


@pytest.mark.parametrize(
    ("where", "topic", "reason"),
    [
        ("bag", "/a b", "'/a b' is not a topic name: topic name must not contain"),
        ("bag", "", "'' is not a topic name"),
        ("there", "/text", "there: exists already"),
        ("file/bag", "/text", "file/bag: Not a directory"),
        ("proc", "/text", "No such file or directory"),
    ],
)
def test_invalid_arguments_are_one_line(ros_domain: int, tmp_path: Path, where: str, topic: str, reason: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    bag = Path("/proc/bag") if where == "proc" else tmp_path / where
    completed = run("-o", str(bag), topic)
    assert completed.returncode == 1
    assert reason in completed.stderr and len(completed.stderr.splitlines()) == 1, completed.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "there"], "nothing is left"
