"""Point clouds as messages."""

from __future__ import annotations

import importlib
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from depth_scene import CAMERA, Solid, turn, view
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from sam2_ros.geometry.measured_frame import MeasuredFrame
from sam2_ros.ros import clouds
from sam2_ros.tracking.masklet import Frame, Masklet

CUP = Solid((-0.2, 0.0, 1.0), (0.1, 0.1, 0.1), turn(20, 30))
BOX = Solid((0.2, 0.0, 1.2), (0.3, 0.2, 0.2), turn(20, -30))
HEADER = Header(frame_id="camera_optical")


def measured(overlap: bool = False) -> MeasuredFrame:
    seen = view(CUP, BOX)
    seen.depth[:20] = 0.0
    masks = seen.masks
    if overlap:  # a part of the box that is an object of its own
        part = masks[1].copy()
        part[:, : int(np.nonzero(masks[1])[1].mean())] = False
        masks = [*masks, part]
    masklets = tuple(
        Masklet(object_id, "", True, presence, 0.9, mask)
        for object_id, presence, mask in zip((1, 7, 300_000), (0.75, 0.5, 1.0), masks, strict=False)
    )
    image = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
    return MeasuredFrame(Frame(0, 360, 640, masklets), image, seen.depth, CAMERA)


def stand_in() -> SimpleNamespace:
    """What `sensor_msgs_py.point_cloud2` does with a structured array, as of Jazzy, limitations included."""

    def create_cloud(header: Header, fields: list[PointField], points: np.ndarray) -> PointCloud2:
        assert points.dtype == clouds.POINT and points.ndim == 1
        if not len(points):
            raise TypeError("memoryview: cannot cast view with zeros in shape or strides")
        step = points.dtype.itemsize
        cloud = PointCloud2(header=header, height=1, width=len(points), fields=fields, point_step=step)
        cloud.is_dense, cloud.is_bigendian, cloud.row_step = False, sys.byteorder != "little", step * len(points)
        cloud.data = points.tobytes()
        return cloud

    def read_points(cloud: PointCloud2) -> np.ndarray:
        return np.ndarray(cloud.width * cloud.height, clouds.POINT, bytes(cloud.data))

    return SimpleNamespace(create_cloud=create_cloud, read_points=read_points)


def test_points_of_objects() -> None:
    frame = measured()
    points = clouds.objects_cloud(frame)
    cup, box = frame.objects
    assert len(points) == len(cup.points) + len(box.points)
    first = points[: len(cup.points)]
    assert np.array_equal(np.stack([first[name] for name in "xyz"]), cup.points.xyz)
    assert set(first["object_id"]) == {1} and set(first["presence"]) == {0.75}
    assert set(points["object_id"][len(first) :]) == {7}
    rows, columns = np.nonzero(cup.points.pixels)
    red, green, blue = frame.image[cup.points.window][rows, columns].T.astype(int)
    packed = np.frombuffer(first["rgb"].tobytes(), np.uint32)
    assert np.array_equal(packed, red * 65536 + green * 256 + blue)


def test_organised_points_are_at_their_pixels() -> None:
    frame = measured(overlap=True)
    points = clouds.organised_cloud(frame, scene=False)
    assert points.shape == (360, 640)
    ids = points["object_id"]
    one, seven, part = (masklet.mask & (frame.depth > 0) for masklet in frame.frame.masklets)
    assert (ids[one] == 1).mean() > 0.95 and (ids[part] == 300_000).mean() > 0.95  # the smaller lies on top
    assert (ids[seven & ~part] == 7).mean() > 0.95
    assert (np.isfinite(points["z"]) == (ids > 0)).all() and (points["presence"][ids == 0] == 0).all()
    assert np.array_equal(points["z"][ids > 0], frame.depth[ids > 0])


def test_scene_has_all_measured_points() -> None:
    frame = measured()
    points = clouds.organised_cloud(frame, scene=True)
    assert np.isnan(points["x"][:20]).all() and np.array_equal(points["z"][20:], frame.depth[20:])
    assert set(points["object_id"].ravel()) == {0, 1, 7}
    expected = (np.arange(640) - CAMERA.cx) / CAMERA.fx * frame.depth[200]
    assert points["x"][200] == pytest.approx(expected, rel=1e-5)
    assert np.frombuffer(points["rgb"][5, 5].tobytes(), np.uint32) == clouds.packed(frame.image[5:6, 5:6])[0, 0]


@pytest.mark.parametrize("layout", ["objects", "organized", "empty"])
def test_message_is_the_same_with_and_without_sensor_msgs_py(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        "objects": clouds.objects_cloud(measured()),
        "organized": clouds.organised_cloud(measured(), scene=False),
        "empty": np.empty(0, clouds.POINT),
    }[layout]
    monkeypatch.setattr(clouds, "point_cloud2", None)
    own = clouds.to_message(points, HEADER)
    read = clouds.from_message(own)
    monkeypatch.setattr(clouds, "point_cloud2", stand_in())
    assert clouds.to_message(points, HEADER) == own
    assert clouds.from_message(own).tobytes() == read.tobytes() == points.tobytes() and read.shape == points.shape


def test_fields_of_the_message() -> None:
    points = np.zeros(1, clouds.POINT)
    points[0] = (1.0, 2.0, 3.0, 0.0, 70_000, 0.5)
    points["rgb"].view(np.uint32)[:] = 0x00FF8001
    message = clouds.to_message(points, HEADER)
    assert struct.unpack("<fffIIf", bytes(message.data)) == (1.0, 2.0, 3.0, 0x00FF8001, 70_000, 0.5)
    assert [(field.name, field.offset, field.datatype) for field in message.fields] == [
        ("x", 0, 7),
        ("y", 4, 7),
        ("z", 8, 7),
        ("rgb", 12, 7),
        ("object_id", 16, 6),
        ("presence", 20, 7),
    ]
    assert (message.header, message.point_step, message.row_step) == (HEADER, 24, 24)


def test_clouds_of_others_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clouds, "point_cloud2", None)
    fields = [
        PointField(name="z", offset=4, datatype=PointField.FLOAT64),
        PointField(name="n", datatype=PointField.UINT16),
    ]
    cloud = PointCloud2(height=2, width=1, fields=fields, point_step=16, row_step=16, is_bigendian=True)
    cloud.data = struct.pack(">HxxdxxxxHxxdxxxx", 3, 1.5, 4, 2.5)
    points = clouds.from_message(cloud)
    assert points.shape == (2, 1) and points["z"].tolist() == [[1.5], [2.5]] and points["n"].tolist() == [[3], [4]]
    cloud.data = b"\0" * 31
    with pytest.raises(ValueError, match="31 bytes, not 2 points"):
        clouds.from_message(cloud)


def test_installed_sensor_msgs_py_is_used() -> None:
    python = pytest.importorskip("sensor_msgs_py.point_cloud2", reason="sensor_msgs_py is not on PyPI")
    assert importlib.reload(clouds).point_cloud2 is python
    assert Path(python.__file__).is_file()
