"""Several cameras in one node."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from robot import BOX, SIZE, TIMEOUT, Graph, Robot, header_of, picture
from sensor_msgs.msg import Image

from sam2_ros import msg, srv
from sam2_ros.ros import image_watch
from sam2_ros.ros.images import to_message
from sam2_ros.ros.node import Sam2Node
from sam2_ros.tracking import rle


class Camera:
    """One camera of the robot, and what the node says about it."""

    def __init__(self, robot: Robot, name: str) -> None:
        self.robot, self.name = robot, name
        self.images = robot.create_publisher(
            Image, f"{name}/image", QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        )
        self.masklets = robot.listen(msg.MaskletArray, f"sam2/{name}/masklets")

    def show(self, index: int, pixels: np.ndarray | None = None) -> msg.MaskletArray:
        count = len(self.masklets)
        self.images.publish(to_message(picture(index) if pixels is None else pixels, "rgb8", header_of(index)))
        self.robot.wait_for(lambda: len(self.masklets) > count, f"for masklets of {self.name}")
        return self.masklets[count]

    def prompt(self, prompt: msg.Prompt) -> msg.PromptResult:
        return self.robot.call(srv.PromptObject, f"sam2/{self.name}/prompt", prompt=prompt).result


@pytest.fixture
def cameras(graph: Graph, robot: Robot, checkpoint: Path) -> tuple[Sam2Node, Camera, Camera]:
    """A node with two cameras, one of which shows the pictures mirrored."""
    node = graph.sam2(checkpoint=str(checkpoint), cameras=["front", "rear"])
    front, rear = Camera(robot, "front"), Camera(robot, "rear")
    robot.wait_for(lambda: all(camera.images.get_subscription_count() for camera in (front, rear)), "for the node")
    robot.wait_for(lambda: all(robot.count_publishers(f"sam2/{one}/masklets") for one in ("front", "rear")), "topics")
    return node, front, rear


def mask_of(masklet: msg.Masklet) -> np.ndarray:
    return rle.decode(np.array(masklet.mask.counts), *SIZE)


def test_cameras_share_the_network_and_nothing_else(
    cameras: tuple[Sam2Node, Camera, Camera], graph: Graph, robot: Robot, checkpoint: Path
) -> None:
    node, front, rear = cameras
    for index in (0, 1):
        assert not front.show(index).masklets and not rear.show(index).masklets
    assert front.prompt(BOX).object_id == 1
    assert len(front.show(2).masklets) == 1 and not rear.show(2).masklets
    assert rear.prompt(BOX).object_id == 1, "IDs are the camera's own"
    robot.call(srv.RemoveObject, "sam2/front/remove", object_id=1)
    assert not front.show(3).masklets and len(rear.show(3).masklets) == 1
    trackers = [camera.stream.call(lambda tracker: tracker).result(TIMEOUT) for camera in node.cameras]
    assert trackers[0] is not trackers[1] and trackers[0].network is trackers[1].network


def test_each_camera_gives_the_masks_of_a_node_of_its_own(
    cameras: tuple[Sam2Node, Camera, Camera], graph: Graph, robot: Robot, checkpoint: Path
) -> None:
    _, front, rear = cameras
    graph.sam2(checkpoint=str(checkpoint))
    robot.wait_until_connected()

    def images(camera: Camera | Robot, mirrored: bool) -> list[np.ndarray]:
        masks = []
        for index in range(4):
            pixels = np.ascontiguousarray(picture(index)[:, ::-1]) if mirrored else picture(index)
            masks += [mask_of(masklet) for masklet in camera.show(index, pixels).masklets]
            if index == 0:
                camera.prompt(BOX)
        return masks

    together: dict[str, list[np.ndarray]] = {}
    # At the same time, so that images wait together and become one batch.
    threads = [
        threading.Thread(target=lambda one=one, mirrored=mirrored: together.update({one.name: images(one, mirrored)}))
        for one, mirrored in ((front, False), (rear, True))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert np.array_equal(together["front"], images(robot, False))
    robot.call(srv.RemoveObject, "sam2/remove", object_id=1)
    assert len(together["rear"]) == 3 and not np.array_equal(together["rear"], together["front"])


def test_a_dead_camera_disturbs_no_other(cameras: tuple[Sam2Node, Camera, Camera], robot: Robot) -> None:
    _, front, rear = cameras
    front.show(0)
    rear.show(0)
    front.prompt(BOX)
    diagnostics = robot.listen(DiagnosticArray, "/diagnostics")
    robot.destroy_publisher(rear.images)
    for index in range(1, 6):
        assert len(front.show(index).masklets) == 1
    robot.wait_for(lambda: diagnostics, "for diagnostics")
    assert [status.name for status in diagnostics[-1].status] == ["/sam2/front: tracking", "/sam2/rear: tracking"]
    assert {value.key: value.value for value in diagnostics[-1].status[0].values}["objects"] == "1"


def test_a_camera_that_never_came_is_named(
    cameras: tuple[Sam2Node, Camera, Camera], robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, _, rear = cameras
    monkeypatch.setattr(image_watch, "IMAGE_TIMEOUT", 0.0)
    robot.destroy_publisher(rear.images)
    watch = node.cameras[1].inputs.watch
    robot.wait_for(lambda: "no publisher" in watch.problem().text, "for the graph to forget the publisher")
    assert "on /rear/image" in watch.problem().text and watch.problem().text.endswith("or remap `rear/image`")


def test_an_unreadable_image_of_one_camera_disturbs_no_other(
    cameras: tuple[Sam2Node, Camera, Camera], robot: Robot
) -> None:
    node, front, rear = cameras
    broken = to_message(picture(0), "rgb8", header_of(0))
    broken.encoding = "nonsense"
    rear.images.publish(broken)
    robot.wait_for(lambda: node.cameras[1].stream._meter["unreadable"] == 1, "for the broken image")
    front.show(0)
    assert node.cameras[0].stream._meter["unreadable"] == 0
    rear.show(1)


def test_a_fast_camera_does_not_starve_a_slow_one(cameras: tuple[Sam2Node, Camera, Camera], robot: Robot) -> None:
    node, front, rear = cameras
    front.show(0)
    rear.show(0)
    stop, index = threading.Event(), 0

    def flood() -> None:  # always an image waits
        nonlocal index
        while not stop.is_set():
            if not len(node.cameras[0].stream._images):
                index += 1
                front.images.publish(to_message(picture(index % 20), "rgb8", header_of(index)))
            stop.wait(0.001)

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        overtaken = []
        for number in range(1, 11):
            before = node.cameras[0].stream._meter["processed"]
            rear.show(number)
            overtaken.append(node.cameras[0].stream._meter["processed"] - before)
    finally:
        stop.set()
        flooding.join(TIMEOUT)
    assert index > 10 and np.median(overtaken) <= 4, overtaken
