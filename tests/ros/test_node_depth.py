"""Depth on the real graph: points, boxes and frames of tracked objects, and what happens without."""

from __future__ import annotations

import array
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from depth_scene import camera_info
from diagnostic_msgs.msg import DiagnosticArray
from robot import BOX, Graph, Robot, header_of, picture
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from sam2_ros import msg, srv
from sam2_ros.geometry.camera import CameraModel
from sam2_ros.geometry.points import ObjectPoints, object_points
from sam2_ros.ros import clouds
from sam2_ros.ros.images import to_message
from sam2_ros.ros.node import Sam2Node
from sam2_ros.tracking import rle
from sam2_ros.tracking.prompt import Box

CAMERA = CameraModel(128, 96, 110.0, 110.0, 63.5, 47.5)


def slanted(size: tuple[int, int] = (96, 128)) -> np.ndarray:
    """The depth of a wall that recedes to the right, mm."""
    return np.broadcast_to(np.linspace(1500, 1700, size[1]).astype(np.uint16), size)


class Eyes:
    """A depth camera beside the robot's camera."""

    def __init__(self, robot: Robot, node: Sam2Node) -> None:
        self.robot, self.node = robot, node
        self.depth = robot.create_publisher(Image, "depth", 10)
        self.compressed = robot.create_publisher(CompressedImage, "depth/compressedDepth", 10)
        self.info = robot.create_publisher(CameraInfo, "camera_info", 10)
        self.points = robot.listen(PointCloud2, "sam2/points")
        self.diagnostics = robot.listen(DiagnosticArray, "/diagnostics")

    def connect(self) -> None:
        self.robot.wait_until_connected()
        compressed = self.node.get_parameter("depth_transport").value == "compressedDepth"
        depth = self.compressed if compressed else self.depth
        publishers = depth, self.info
        self.robot.wait_for(lambda: all(each.get_subscription_count() for each in publishers), "for the node")
        output = self.node.cameras[0].outputs.measuring
        self.robot.wait_for(lambda: output.wanted, "until somebody listens")

    def calibrate(self, **changes: object) -> None:
        fields = vars(camera_info(CAMERA, **changes))
        message = CameraInfo(**{name: value for name, value in fields.items() if name != "roi"})
        measuring = self.node.cameras[0].outputs.measuring
        self.info.publish(message)
        self.robot.wait_for(lambda: measuring._info == message, "for the calibration")

    def see(self, index: int, depth: np.ndarray | None = None, encoding: str = "16UC1", header: Header | None = None):
        """Sends depth and waits until it has arrived."""
        depth = slanted() if depth is None else depth
        self.send(self.depth, to_message(np.ascontiguousarray(depth), encoding, header or header_of(index)))

    def send(self, publisher, message: object) -> None:
        count = self.counts()["received"]
        publisher.publish(message)
        self.robot.wait_for(lambda: self.counts()["received"] > count, "for depth")

    def counts(self) -> dict[str, int]:
        meter = self.node.cameras[0]._configured.meter
        return {event: meter[f"depth {event}"] for event in ("received", "matched", "unmatched", "unusable")}

    def next_cloud(self, after: int) -> np.ndarray:
        self.robot.wait_for(lambda: len(self.points) > after, "for points")
        return clouds.from_message(self.points[after])

    def wait_for_problem(self, text: str) -> None:
        """Waits until the diagnostics say so."""
        self.robot.wait_for(
            lambda: any(text in status.message for array in self.diagnostics for status in array.status),
            f"for a diagnostic with {text!r}; the last says {self.diagnostics[-1:]}",
        )


@pytest.fixture
def start(graph: Graph, robot: Robot, checkpoint: Path) -> Iterator[Callable[..., Eyes]]:
    def start(**parameters: object) -> Eyes:
        eyes = Eyes(robot, graph.sam2(checkpoint=str(checkpoint), **parameters))
        eyes.connect()
        return eyes

    yield start


def points_of(masklet: msg.Masklet, depth: np.ndarray, camera: CameraModel = CAMERA) -> ObjectPoints:
    """The points that an object must have."""
    mask, box = masklet.mask, masklet.box
    pixels = rle.decode(np.asarray(mask.counts, np.uint32), mask.height, mask.width)
    return object_points(depth, pixels, camera, Box(box.x_offset, box.y_offset, box.width, box.height))


def test_points_boxes_and_frames_of_objects(
    start: Callable[..., Eyes], robot: Robot, vision: ModuleType, transforms: ModuleType
) -> None:
    boxes, frames = robot.listen(vision.Detection3DArray, "sam2/objects_3d"), robot.listen(transforms.TFMessage, "/tf")
    eyes = start(publish_tf=True)
    robot.wait_for(lambda: robot.count_publishers("/tf") == 1, "for /tf")
    eyes.calibrate()

    # Without objects, both are empty; depth comes before the image.
    eyes.see(0)
    assert robot.show(0).masklets == []
    assert len(eyes.next_cloud(0)) == 0 and eyes.points[0].header == header_of(0)

    (result,) = robot.prompt(BOX)
    assert result.accepted
    eyes.see(1)
    masklets = robot.show(1)
    points = eyes.next_cloud(1)
    expected = points_of(masklets.masklets[0], slanted())
    assert np.array_equal(np.stack([points[name] for name in "xyz"]), expected.xyz) and len(points) > 100
    assert set(points["object_id"]) == {1} and set(points["presence"]) == {np.float32(masklets.masklets[0].presence)}
    first = np.argwhere(expected.pixels)[0] + [part.start for part in expected.window]
    assert np.frombuffer(points["rgb"][0].tobytes(), np.uint8)[2::-1].tolist() == picture(1)[tuple(first)].tolist()

    robot.wait_for(lambda: len(boxes) >= 2, "for boxes")
    assert boxes[0].detections == [] and boxes[1].header == header_of(1)
    (detection,) = boxes[1].detections
    (guess,) = detection.results
    assert (detection.id, detection.header) == ("1", header_of(1))
    assert guess.hypothesis.score == pytest.approx(masklets.masklets[0].presence)
    centroid, box = guess.pose.pose.position, detection.bbox
    assert [centroid.x, centroid.y, centroid.z] == pytest.approx(expected.centroid)
    assert 1.49 < box.center.position.z < 1.71 and sorted([box.size.x, box.size.y, box.size.z])[0] < 0.02

    robot.wait_for(lambda: frames, "for frames")
    (transform,) = frames[0].transforms
    assert transform.header == header_of(1) and transform.child_frame_id == "sam2/object_1"
    moved = transform.transform.translation
    assert [moved.x, moved.y, moved.z] == pytest.approx(expected.centroid) and transform.transform.rotation.w == 1.0
    assert eyes.counts() == {"received": 2, "matched": 2, "unmatched": 0, "unusable": 0}


def test_depth_after_the_image_and_masklets_do_not_wait(start: Callable[..., Eyes], robot: Robot) -> None:
    eyes = start(depth_wait=60.0)
    eyes.calibrate()
    robot.show(0)
    robot.prompt(BOX)
    robot.show(1)  # waits for masklets
    assert not eyes.points
    eyes.see(0)
    eyes.see(1)
    assert len(eyes.next_cloud(1)) > 100 and [cloud.header for cloud in eyes.points] == [header_of(0), header_of(1)]


def test_images_without_depth_in_time(start: Callable[..., Eyes], robot: Robot) -> None:
    eyes = start(depth_wait=0.0)
    eyes.calibrate()
    robot.show(0)
    robot.wait_for(lambda: eyes.counts()["unmatched"] == 1, "to give up")
    eyes.see(1)
    robot.show(1)
    eyes.next_cloud(0)
    assert eyes.points[0].header == header_of(1)


def test_layouts_are_chosen_while_running(start: Callable[..., Eyes], robot: Robot) -> None:
    from rclpy.parameter import Parameter

    eyes = start()
    eyes.calibrate()
    robot.show(0)
    robot.prompt(BOX)
    for index, layout in enumerate(("objects", "organized", "scene"), start=1):
        assert eyes.node.set_parameters([Parameter("points_layout", value=layout)])[0].successful
        count = len(eyes.points)
        eyes.see(index)
        robot.show(index)
        points = eyes.next_cloud(count)
        assert points.shape == ((96, 128) if layout != "objects" else (np.count_nonzero(points["object_id"]),))
        assert np.isfinite(points["z"]).all() == (layout != "organized")
    (answer,) = eyes.node.set_parameters([Parameter("points_layout", value="everything")])
    assert not answer.successful and "objects, organized, scene" in answer.reason


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_compressed_depth(start: Callable[..., Eyes], robot: Robot, encoding: str) -> None:
    eyes = start(depth_transport="compressedDepth")
    eyes.calibrate()
    values, a, b = slanted(), 0.0, 0.0
    if encoding == "32FC1":
        a = 10_100.0
        b = 1.0 - a / 10.0
        values = (a / (values / 1000.0) + b).astype(np.uint16)
    data = struct.pack("<iff", 0, a, b) + cv2.imencode(".png", values)[1].tobytes()
    robot.show(0)
    robot.prompt(BOX)
    message = CompressedImage(
        header=header_of(1), format=f"{encoding}; compressedDepth png", data=array.array("B", data)
    )
    eyes.send(eyes.compressed, message)
    masklets = robot.show(1)
    expected = points_of(masklets.masklets[0], slanted())
    assert np.allclose(eyes.next_cloud(0)["z"], expected.xyz[2], rtol=0.001)


def test_depth_of_another_size(start: Callable[..., Eyes], robot: Robot) -> None:
    eyes = start()
    eyes.calibrate()
    robot.show(0)
    robot.prompt(BOX)
    eyes.see(1, slanted((48, 64)))
    expected = points_of(robot.show(1).masklets[0], slanted((48, 64)), CAMERA.scaled(64, 48))
    assert np.array_equal(eyes.next_cloud(0)["x"], expected.xyz[0])


@pytest.mark.parametrize(
    ("depth", "encoding", "info", "reason"),
    [
        (slanted(), "16UC1", {"k": [0.0] * 9}, "not calibrated"),
        (slanted(), "16UC1", None, "no camera_info has come"),
        (slanted(), "16UC1", {"width": 640, "height": 640}, "camera_info is of images of 640 x 640 pixels"),
        (slanted((96, 96)), "16UC1", {}, "depth image has 96 x 96 pixels, which is no scale of the image's 128 x 96"),
        (picture(0), "rgb8", {}, "'rgb8' is not depth"),
    ],
)
def test_unusable_depth_is_refused_with_the_reason(
    start: Callable[..., Eyes], robot: Robot, depth: np.ndarray, encoding: str, info: dict | None, reason: str
) -> None:
    eyes = start()
    if info is not None:
        eyes.calibrate(**info)
    eyes.see(0, depth, encoding)
    robot.show(0)
    robot.wait_for(lambda: eyes.counts()["unusable"] == 1, "to be refused")
    eyes.wait_for_problem(f"no points and boxes: {reason[:20]}" if reason.startswith("no ") else reason)
    assert not eyes.points
    eyes.calibrate()
    eyes.see(1)
    robot.show(1)
    eyes.next_cloud(0)
    assert eyes.points[0].header == header_of(1)


def test_nothing_is_received_or_measured_while_nobody_listens(graph: Graph, robot: Robot, checkpoint: Path) -> None:
    node = graph.sam2(checkpoint=str(checkpoint))
    depth = robot.create_publisher(Image, "depth", 10)
    robot.wait_until_connected()
    robot.wait_for(depth.get_subscription_count, "for the node")
    for index in range(3):
        depth.publish(to_message(np.ascontiguousarray(slanted()), "16UC1", header_of(index)))
        robot.show(index)
    meter = node.cameras[0]._configured.meter
    assert not any(meter[f"depth {event}"] for event in ("received", "matched", "unmatched", "unusable", "dropped"))


def test_missing_depth_and_another_frame_are_explained(
    start: Callable[..., Eyes], robot: Robot, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sam2_ros.ros.depth.measuring.PATIENCE", 0.0)
    eyes = start(depth_wait=0.0)
    eyes.calibrate()
    robot.show(0)
    robot.wait_for_line("No points and boxes: no depth has come on /depth, where sensor_msgs/msg/Image is published")
    header = header_of(1)
    header.frame_id = "depth_optical"
    eyes.see(1, header=header)
    robot.show(1)
    robot.wait_for_line("Depth is in the frame 'depth_optical', the image in 'camera_optical'.")
    eyes.next_cloud(0)  # nevertheless

    def notes() -> dict[str, str]:
        return {pair.key: pair.value for pair in eyes.diagnostics[-1].status[0].values} if eyes.diagnostics else {}

    robot.wait_for(lambda: "depth_optical" in notes().get("note: depth", ""), "for the note")


def test_deactivated_node_measures_nothing_and_comes_back(start: Callable[..., Eyes], robot: Robot) -> None:
    eyes = start()
    eyes.calibrate()
    eyes.node.trigger_deactivate()
    robot.wait_for(lambda: not eyes.depth.get_subscription_count(), "to unsubscribe")
    eyes.node.trigger_activate()
    eyes.connect()
    eyes.calibrate()
    eyes.see(0)
    robot.show(0)
    assert len(eyes.next_cloud(0)) == 0


def test_frames_need_a_parent(
    start: Callable[..., Eyes], robot: Robot, transforms: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    frames = robot.listen(transforms.TFMessage, "/tf")
    eyes = start(publish_tf=True)
    eyes.calibrate()
    robot.show(0)
    robot.prompt(BOX)
    header = Header(stamp=header_of(1).stamp)
    eyes.see(1, header=header)
    robot.send(to_message(picture(1), "rgb8", header))
    robot.wait_for_line("publish_tf has no effect: the images have no frame_id")
    assert len(eyes.next_cloud(0)) > 0 and not frames


def test_each_camera_has_its_own_depth(graph: Graph, robot: Robot, checkpoint: Path, transforms: ModuleType) -> None:
    points = {name: robot.listen(PointCloud2, f"sam2/{name}/points") for name in ("front", "rear")}
    frames = robot.listen(transforms.TFMessage, "/tf")
    node = graph.sam2(checkpoint=str(checkpoint), cameras=["front", "rear"], publish_tf=True)
    images, depths, infos = (
        {name: robot.create_publisher(kind, f"{name}/{topic}", 10) for name in points}
        for kind, topic in ((Image, "image"), (Image, "depth"), (CameraInfo, "camera_info"))
    )
    everything = [publisher for each in (images, depths, infos) for publisher in each.values()]
    robot.wait_for(lambda: all(publisher.get_subscription_count() for publisher in everything), "for the node")
    measuring = {camera.name: camera.outputs.measuring for camera in node.cameras}
    robot.wait_for(lambda: all(each.wanted for each in measuring.values()), "until somebody listens")
    fields = {name: value for name, value in vars(camera_info(CAMERA)).items() if name != "roi"}
    for name in points:
        infos[name].publish(CameraInfo(**fields))
        robot.wait_for(lambda name=name: measuring[name]._info is not None, "for the calibration")
    depth = to_message(np.ascontiguousarray(slanted()), "16UC1", header_of(0))
    depths["rear"].publish(depth)
    images["rear"].publish(to_message(picture(0), "rgb8", header_of(0)))
    robot.wait_for(lambda: points["rear"], "for points")
    answer = robot.call(srv.PromptObject, "sam2/rear/prompt", prompt=BOX)
    assert answer.result.accepted
    depths["rear"].publish(to_message(np.ascontiguousarray(slanted()), "16UC1", header_of(1)))
    images["rear"].publish(to_message(picture(1), "rgb8", header_of(1)))
    robot.wait_for(lambda: frames, "for frames")
    assert frames[0].transforms[0].child_frame_id == "sam2/rear/object_1"
    robot.wait_for(lambda: len(points["rear"]) == 2, "for points")
    assert len(clouds.from_message(points["rear"][1])) > 100 and not points["front"]
