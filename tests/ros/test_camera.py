"""The camera and the recorder, as nodes and as processes."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from PIL import Image as Picture
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from robot import SIZE, TIMEOUT, Graph, Robot
from rosbags.highlevel import AnyReader
from rosbags.image import message_to_cvimage
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CompressedImage, Image
from video_files import UNEVEN, number_of, numbered, write_video

from sam2_ros.data.image_message import to_rgb
from sam2_ros.data.video_reader import VideoReader
from sam2_ros.ros.camera import CameraNode, Source, SourceError
from sam2_ros.ros.stamps import nanoseconds

INFRARED = ((Image, "image"), (CompressedImage, "image/compressed"))
CAMERA_QOS = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
GREYS = (20, 60, 100, 140, 180, 220)


def image_of(index: int) -> np.ndarray:
    return np.full((*SIZE, 3), GREYS[index], np.uint8)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (SIZE[1], SIZE[0]))
    for index in range(len(GREYS)):
        writer.write(image_of(index))
    writer.release()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "images"
    path.mkdir()
    for index in range(len(GREYS)):
        cv2.imwrite(str(path / f"frame{index + 7}.png"), image_of(index))  # frame7 .. frame12
    (path / "notes.txt").write_text("not an image")
    return path


def camera(graph: Graph, source: Path, **parameters: object) -> CameraNode:
    overrides = [Parameter(name, value=value) for name, value in {"source": str(source), **parameters}.items()]
    return graph.add(CameraNode(context=graph.context, parameter_overrides=overrides))


def greys(messages: list[Image]) -> list[int]:
    """The grey levels of the images."""
    return [int(np.abs(np.array(GREYS) - to_rgb(message).mean()).argmin()) for message in messages]


@pytest.mark.parametrize("kind", ["video", "folder"])
def test_plays_once_in_order_with_current_stamps(graph: Graph, robot: Robot, kind: str, request) -> None:
    source = request.getfixturevalue(kind)
    images = robot.listen(Image, "image", CAMERA_QOS)
    before = robot.get_clock().now().nanoseconds
    node = camera(graph, source, rate=50, frame_id="left_eye")  # as people write it
    robot.wait_for(node.finished.done, "for the end")
    robot.wait_for(lambda: greys(images[-1:]) == [len(GREYS) - 1], "for the last image")
    after = robot.get_clock().now().nanoseconds
    assert node.finished.result() == len(GREYS)
    # The first may be sent before the subscription is connected both ways, as with any best-effort camera.
    assert greys(images) in (list(range(len(GREYS))), list(range(1, len(GREYS))))
    stamps = [nanoseconds(message.header.stamp) for message in images]
    assert stamps == sorted(set(stamps)) and before < stamps[0] and stamps[-1] < after
    assert np.median(np.diff(stamps)) >= 0.015e9, "50 images per second"
    assert images[0].header.frame_id == "left_eye" and images[0].encoding == "bgr8"


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_video_frames_are_those_of_the_reader(suffix: str, tmp_path: Path) -> None:
    """The same frames in the same order, whatever number and rate the header has; also in a loop."""
    file = write_video(tmp_path / f"film.{suffix}", UNEVEN, "libx264" if suffix == "mp4" else "libvpx-vp9")
    source = Source(str(file))
    for _ in range(2):
        for image, expected in zip(source.images(), VideoReader(file), strict=True):
            np.testing.assert_array_equal(image[..., ::-1], expected)
    assert [number_of(image) for image in source.images()] == list(range(len(UNEVEN)))
    assert 20 < source.rate < 70
    source.close()


def test_folder_images_are_those_of_the_reader(tmp_path: Path) -> None:
    """In natural order, rotated by their EXIF orientation, without the hidden files of other systems."""
    for number in range(12):
        exif = Picture.Exif()
        exif[0x0112] = 3 if number % 2 else 1
        picture = Picture.fromarray(numbered(number)).rotate(180 if number % 2 else 0)
        picture.save(tmp_path / f"frame_{number}.{'JPG' if number % 3 else 'jpeg'}", exif=exif)
    (tmp_path / "._frame_0.jpg").write_bytes(b"no image")
    images = list(Source(str(tmp_path)).images())
    assert [number_of(image) for image in images] == list(range(12))
    for image, expected in zip(images, VideoReader(tmp_path), strict=True):
        np.testing.assert_array_equal(image[..., ::-1], expected)


def test_infrared_images_keep_16_bits(graph: Graph, robot: Robot, tmp_path: Path) -> None:
    """The receiving node chooses the range of values."""
    heat = np.arange(7600, 7600 + 48 * 64, dtype=np.uint16).reshape(48, 64)
    cv2.imwrite(str(tmp_path / "heat_1.png"), heat)
    raw, compressed = (robot.listen(kind, topic, CAMERA_QOS) for kind, topic in INFRARED)
    camera(graph, tmp_path, rate=20.0, loop=True, wait_for_subscribers=2)
    robot.wait_for(lambda: raw and compressed, "for an image")
    assert raw[-1].encoding == "mono16"
    np.testing.assert_array_equal(np.frombuffer(raw[-1].data, np.uint16).reshape(48, 64), heat)
    assert compressed[-1].format == "mono16; png compressed mono16"
    data = np.frombuffer(compressed[-1].data, np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), heat)


def test_missing_pyav_error_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = write_video(tmp_path / "film.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(SourceError, match="pip install av"):
        Source(str(file))
    with pytest.raises(SourceError, match="77 cannot be opened as a camera"):  # webcams do without
        Source("77")


def test_source_may_be_the_number_of_a_webcam(graph: Graph) -> None:
    with pytest.raises(SourceError, match="77"):  # there is no such webcam
        CameraNode(context=graph.context, parameter_overrides=[Parameter("source", value=77)])


def test_waits_for_subscribers_and_loops(graph: Graph, robot: Robot, video: Path) -> None:
    node = camera(graph, video, rate=100.0, loop=True, wait_for_subscribers=2)
    images = robot.listen(Image, "image", CAMERA_QOS)
    robot.wait_for(lambda: node._raw.get_subscription_count() == 1, "for the first listener")
    time.sleep(0.2)  # long enough for it to have started
    assert not images
    compressed = robot.listen(CompressedImage, "image/compressed", CAMERA_QOS)
    robot.wait_for(lambda: len(images) > 2 * len(GREYS) and compressed, "for the second round")
    levels = greys(images)
    assert all((b - a) % len(GREYS) == 1 for a, b in itertools.pairwise(levels) if b != a)
    assert to_rgb(compressed[0]).shape == (*SIZE, 3)
    assert not node.finished.done()


def test_waits_for_masklets(graph: Graph, robot: Robot, checkpoint: Path, folder: Path) -> None:
    """All images are processed, although the node queues only the newest."""
    graph.sam2(checkpoint=str(checkpoint), autostart=False)
    node = graph.add(
        CameraNode(
            context=graph.context,
            cli_args=["--ros-args", "-r", "masklets:=sam2/masklets"],
            parameter_overrides=[
                Parameter("source", value=str(folder)),
                Parameter("wait_for_masklets", value=True),
                Parameter("rate", value=0.001),
            ],
        )
    )
    robot.wait_for(lambda: node.count_publishers("sam2/masklets"), "for the node")
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        assert robot.call(ChangeState, "sam2/change_state", transition=Transition(id=transition)).success
    robot.wait_for(node.finished.done, "for the end")
    robot.wait_for(lambda: len(robot.masklets) == len(GREYS), "for all masklets")
    assert node.finished.result() == len(GREYS)


def test_unplayable_source_error_names_the_problem(graph: Graph, robot: Robot, tmp_path: Path, folder: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    text = tmp_path / "clip.mp4"
    text.write_text("not a video")
    for source, reason in ((tmp_path / "no.mp4", "no such file"), (empty, "no images"), (text, "cannot be opened")):
        with pytest.raises(SourceError, match=reason):
            CameraNode(context=graph.context, parameter_overrides=[Parameter("source", value=str(source))])
    (folder / "frame8.png").write_bytes(b"broken")
    node = camera(graph, folder, rate=100.0, wait_for_subscribers=0)
    robot.wait_for(node.finished.done, "for the end")
    assert "frame8.png" in str(node.finished.exception())


def run(module: str, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", f"sam2_ros.ros.{module}", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


def wait_for_subscribers(*topics: str) -> None:
    with rclpy.Context() as context:
        onlooker = Node("onlooker", context=context)
        deadline = time.monotonic() + TIMEOUT
        while not all(map(onlooker.count_subscribers, topics)):  # nothing says when that changes
            assert time.monotonic() < deadline, f"{topics} have no subscribers"
            time.sleep(0.02)
        onlooker.destroy_node()


def test_process_error_is_one_line(ros_domain: int, tmp_path: Path) -> None:
    process = run("camera", "--ros-args", "-p", f"source:={tmp_path / 'no.mp4'}")
    _, output = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1 and output == f"camera: {tmp_path / 'no.mp4'}: no such file or folder\n"


def test_ctrl_c_exits_with_status_0(robot: Robot, folder: Path) -> None:
    """The signal arrives between images at 1000 per second; rclpy closes the publishers while the thread plays."""
    images = robot.listen(Image, "image", CAMERA_QOS)
    options = ("source", str(folder)), ("rate", "1000.0"), ("loop", "true")
    process = run("camera", "--ros-args", *(part for key, value in options for part in ("-p", f"{key}:={value}")))
    robot.wait_for(lambda: len(images) > 3, "for images")
    process.send_signal(signal.SIGINT)
    _, output = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0 and "camera:" not in output and "Traceback" not in output, output


def test_graph_of_processes_records_a_bag(ros_domain: int, checkpoint: Path, folder: Path, tmp_path: Path) -> None:
    """Camera, node, prompter and recorder: no message is lost, and the bag holds prompts and results."""
    bag = tmp_path / "bag"
    reliable = "reliability:=reliable"
    topics = ["/image", "/sam2/applied_prompts", "/sam2/prompt_results", "/sam2/masklets"]
    recorder = run("recorder", "-o", str(bag), *topics)
    node = run(
        "node", "--ros-args", "-p", f"checkpoint:={checkpoint}", "-p", f"qos_overrides./image.subscription.{reliable}"
    )
    wait_for_subscribers(*topics[1:])  # the camera counts those of its images only
    camera = run(
        *("camera", "--ros-args", "-p", f"source:={folder}", "-p", "wait_for_masklets:=true"),
        *("-p", "wait_for_subscribers:=3", "-r", "masklets:=sam2/masklets"),
        *("-p", f"qos_overrides./image.publisher.{reliable}"),
    )
    prompter = run("prompter", "--click", "30,40", "--label", "cup", "--first-image", "/image", "--wait", str(TIMEOUT))
    try:
        output, error = prompter.communicate(timeout=TIMEOUT)
        assert prompter.returncode == 0 and output.startswith("object 1 (cup): "), error
        assert camera.wait(TIMEOUT) == 0
        refused = run("prompter", "--box", "500,500,10,10", "--wait", str(TIMEOUT))
        output, error = refused.communicate(timeout=TIMEOUT)
        assert refused.returncode == 1 and "outside the image" in output, error
    finally:
        for process in (recorder, node, camera, prompter):
            process.send_signal(signal.SIGINT)
        output, errors = recorder.communicate(timeout=TIMEOUT)
        log = node.communicate(timeout=TIMEOUT)[1]
    assert recorder.returncode == 0 and node.returncode == 0 and "Traceback" not in log, errors + log

    messages: dict[str, list] = {topic: [] for topic in topics}
    with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        for connection, _, data in reader.messages():
            messages[connection.topic].append(reader.deserialize(data, connection.msgtype))
    images, prompts, results, masklets = messages.values()
    assert [message_to_cvimage(image).mean() for image in images] == list(GREYS)
    assert [message.header.stamp for message in masklets] == [image.header.stamp for image in images]
    assert [len(message.prompts) for message in prompts] == [1], "only the accepted one"
    assert prompts[0].prompts[0].clicks[0].x == 30 and prompts[0].header.stamp == images[0].header.stamp
    assert [result.accepted for result in results] == [True, False]
    # All images may have been processed before the click came, so that only its answer has the object.
    assert results[0].masklet.label == "cup" and results[0].masklet.mask.counts.dtype == np.uint32
    assert f"{len(GREYS):6d}  /sam2/masklets" in output
