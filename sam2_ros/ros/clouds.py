"""Point clouds as messages, by `sensor_msgs_py` where it is installed."""

from __future__ import annotations

import array
import sys
from typing import TYPE_CHECKING

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

try:
    from sensor_msgs_py import point_cloud2
except ImportError:
    point_cloud2 = None

if TYPE_CHECKING:
    from sam2_ros.geometry.measured_frame import MeasuredFrame

POINT = np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4"), ("rgb", "f4"), ("object_id", "u4"), ("presence", "f4")])
"""A point of our clouds. The bits of `rgb` are 0x00RRGGBB, as viewers and PCL read them."""

FIELDS = [
    PointField(
        name=name, offset=4 * place, count=1, datatype=PointField.UINT32 if name == "object_id" else PointField.FLOAT32
    )
    for place, name in enumerate(POINT.names or ())
]

_TYPES = {
    PointField.INT8: "i1",
    PointField.UINT8: "u1",
    PointField.INT16: "i2",
    PointField.UINT16: "u2",
    PointField.INT32: "i4",
    PointField.UINT32: "u4",
    PointField.FLOAT32: "f4",
    PointField.FLOAT64: "f8",
}


def objects_cloud(measured: MeasuredFrame) -> np.ndarray:
    """The points of all visible objects, `POINT` [N]. Pixels of two objects occur twice."""
    points = np.empty(sum(len(one.points) for one in measured.objects), POINT)
    first = 0
    for one in measured.objects:
        part = points[first : first + len(one.points)]
        for name, axis in zip("xyz", one.points.xyz, strict=True):
            part[name] = axis
        _colours(part)[:] = packed(measured.colours(one.points.window))[one.points.pixels]
        part["object_id"], part["presence"] = one.masklet.object_id, one.masklet.presence
        first += len(one.points)
    return points


def organised_cloud(measured: MeasuredFrame, scene: bool) -> np.ndarray:
    """A point for each pixel of the depth image, `POINT` [h, w].

    Where there is no point, x, y and z are NaN. Smaller objects lie over larger ones, as in the label image.

    Args:
        scene: also the points of no object, with ID and presence 0.
    """
    height, width = measured.depth.shape
    whole = np.s_[0:height, 0:width]
    points = np.zeros((height, width), POINT)
    if scene:
        from sam2_ros.geometry.points import metres  # here, since readers of clouds need no OpenCV

        z = metres(measured.depth)
        z[np.isinf(z)] = np.nan
        points["x"], points["y"] = measured.camera.rays * z
        points["z"] = z
        _colours(points)[:] = packed(measured.colours(whole))
    else:
        for name in "xyz":
            points[name] = np.nan
    for one in sorted(measured.objects, key=lambda one: -len(one.points)):
        part, pixels = points[one.points.window], one.points.pixels
        for name, axis in zip("xyz", one.points.xyz, strict=True):
            part[name][pixels] = axis
        _colours(part)[pixels] = packed(measured.colours(one.points.window))[pixels]
        part["object_id"][pixels], part["presence"][pixels] = one.masklet.object_id, one.masklet.presence
    return points


def packed(colours: np.ndarray) -> np.ndarray:
    """uint8 [h, w, 3] RGB as 0x00RRGGBB, uint32 [h, w]."""
    red, green, blue = (colours[..., channel].astype(np.uint32) for channel in range(3))
    return red << 16 | green << 8 | blue


def to_message(points: np.ndarray, header: Header) -> PointCloud2:
    """A message of `POINT` [N], or [h, w] of an organised cloud."""
    height, width = points.shape if points.ndim == 2 else (1, len(points))
    flat = np.ascontiguousarray(points).reshape(-1)
    # sensor_msgs_py fails without points, and takes the rows of an organised cloud for its columns.
    if point_cloud2 is not None and len(flat):
        cloud = point_cloud2.create_cloud(header, FIELDS, flat)
    else:
        cloud = PointCloud2(header=header, fields=FIELDS, is_bigendian=sys.byteorder != "little", is_dense=False)
        cloud.point_step = POINT.itemsize
        data = array.array("B")
        data.frombytes(flat.view(np.uint8))
        cloud.data = data
    cloud.height, cloud.width, cloud.row_step = height, width, width * POINT.itemsize
    return cloud


def from_message(cloud: PointCloud2) -> np.ndarray:
    """The points of any cloud, a structured array [N], or [height, width] if it is organised.

    Raises:
        ValueError: data is missing, or a field has an unknown type.
    """
    shape = (cloud.height, cloud.width) if cloud.height > 1 else (cloud.height * cloud.width,)
    if cloud.row_step != cloud.width * cloud.point_step or len(cloud.data) < cloud.height * cloud.row_step:
        raise ValueError(f"the cloud holds {len(cloud.data)} bytes, not {cloud.height * cloud.width} points")
    if point_cloud2 is not None and len(cloud.data):
        return point_cloud2.read_points(cloud).reshape(shape)
    order = ">" if cloud.is_bigendian else "<"
    try:
        formats = [order + _TYPES[field.datatype] for field in cloud.fields]
    except KeyError as error:
        raise ValueError(f"the cloud has a field of an unknown type, {error}") from None
    names, offsets = [field.name for field in cloud.fields], [field.offset for field in cloud.fields]
    kind = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": cloud.point_step})
    return np.ndarray(shape, kind, bytes(cloud.data))


def _colours(points: np.ndarray) -> np.ndarray:
    """The field `rgb` as the bits that it holds."""
    return points["rgb"].view(np.uint32)
