"""`follow`: an example that turns a masklet and a depth image into goals for nav2.

ros2 run sam2_ros follow --ros-args -r depth:=/camera/depth/image_rect_raw -r camera_info:=/camera/color/camera_info
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import sys

import numpy as np
import rclpy
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from sam2_ros.msg import Masklet, MaskletArray
from sam2_ros.ros import process
from sam2_ros.ros.declaration import declare
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.parameters import FOLLOW_PARAMETERS
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.tracking import rle

MAX_STAMP_DIFFERENCE = 50_000_000
"""Nanoseconds between an image and the depth image that belongs to it."""


class FollowNode(Node):
    """Publishes where a robot stands that has come to the object, facing it, as PoseStamped on `goal_pose`.

    The goals are in the camera's optical frame at the time of the image, as the depth is; nav2 transforms them into its
    own frame. Nothing is published while the object is absent or as near as `stop_distance`: nav2 then goes on to the
    last goal, or stays.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__("follow", **kwargs)
        declare(self, FOLLOW_PARAMETERS)
        self._depths: collections.deque[Image] = collections.deque(maxlen=32)
        self._camera: CameraInfo | None = None
        self._due = 0  # ns, of the next goal
        self._goals = self.create_publisher(PoseStamped, "goal_pose", 10)
        self.create_subscription(Image, "depth", self._on_depth, qos_profile_sensor_data)
        self.create_subscription(CameraInfo, "camera_info", self._on_camera_info, qos_profile_sensor_data)
        self.create_subscription(MaskletArray, "sam2/masklets", self._on_masklets, 10)

    def _on_depth(self, message: Image) -> None:
        self._depths.append(message)

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera = message

    def _on_masklets(self, message: MaskletArray) -> None:
        stamp, period = nanoseconds(message.header.stamp), int(self.get_parameter("period").value * 1e9)
        if self._due - period < stamp < self._due or (masklet := self._chosen(message)) is None:
            return
        if (depth := self._depth_at(stamp)) is None or self._camera is None:
            missing = "no CameraInfo" if self._camera is None else "no depth image with the stamp of the masklets"
            self.get_logger().warning(f"{missing} has come: remap depth and camera_info", throttle_duration_sec=10.0)
            return
        stop = self.get_parameter("stop_distance").value
        try:
            mask = rle.decode(masklet.mask.counts, masklet.mask.height, masklet.mask.width)
            position = position_of(mask, depth_of(depth), np.reshape(self._camera.k, (3, 3)))
        except (ValueError, np.linalg.LinAlgError) as error:
            self.get_logger().warning(f"No goal: {error}", throttle_duration_sec=10.0)
            return
        if position is not None and np.linalg.norm(position) > stop:
            self._goals.publish(goal_before(position, stop, depth.header))
            self._due = stamp + period

    def _chosen(self, message: MaskletArray) -> Masklet | None:
        """The visible object with the wanted ID and label; of several, the one with the lowest ID."""
        object_id, label = self.get_parameter("object_id").value, str(self.get_parameter("label").value)
        fitting = [one for one in message.masklets if one.object_id == (object_id or one.object_id)]
        return next((one for one in fitting if one.present and one.label == (label or one.label)), None)

    def _depth_at(self, stamp: int) -> Image | None:
        """The depth image nearest in time; of several, as in a looped bag, the latest to arrive."""
        differences = [(abs(nanoseconds(depth.header.stamp) - stamp), depth) for depth in reversed(self._depths)]
        difference, depth = min(differences, key=lambda pair: pair[0], default=(MAX_STAMP_DIFFERENCE + 1, None))
        return depth if difference <= MAX_STAMP_DIFFERENCE else None


def depth_of(message: Image) -> np.ndarray:
    """Metres, float32 [H, W]; 0 or NaN: unknown. Raises ValueError if that is no depth image."""
    if message.encoding not in ("16UC1", "mono16", "32FC1"):
        raise ValueError(f"the encoding of the depth image is {excerpt(message.encoding)}, not 16UC1 or 32FC1")
    kind, scale = (np.uint16, 1e-3) if message.encoding in ("16UC1", "mono16") else (np.float32, 1.0)
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    return rows[:, : message.width * np.dtype(kind).itemsize].view(kind).astype(np.float32) * np.float32(scale)


def position_of(mask: np.ndarray, depth: np.ndarray, matrix: np.ndarray) -> np.ndarray | None:
    """The middle of an object's visible side in the camera's optical frame, metres [3]: x right, y down, z forward.

    Args:
        mask: bool [H, W].
        depth: metres [H, W]; 0 or NaN: unknown.
        matrix: the camera's, [3, 3].

    Returns:
        None if nothing is known about the object's depth.

    Raises:
        ValueError: the sizes differ.
        LinAlgError: the camera is not calibrated.
    """
    if mask.shape != depth.shape:
        raise ValueError(f"masks are {mask.shape}, depth is {depth.shape}: use depth that is registered to the image")
    rows, columns = np.nonzero(mask & (depth > 0) & np.isfinite(depth))
    if not len(rows):
        return None
    # Medians: a mask's edge always has some pixels of what is behind.
    pixel = np.array([np.median(columns), np.median(rows), 1.0])
    return np.linalg.solve(matrix, pixel) * np.median(depth[rows, columns])


def goal_before(position: np.ndarray, distance: float, header: Header) -> PoseStamped:
    """The pose at a distance before a position, looking at it: x, the front of a robot, points there."""
    direction = position / np.linalg.norm(position)
    # The shortest rotation of the x axis to that direction: half the angle, about their cross product.
    x, y, z = direction
    rotation = np.array([0.0, -z, y, 1.0 + x])
    pose = Pose(position=Point(**_named("xyz", position - distance * direction)))
    pose.orientation = Quaternion(**_named("xyzw", rotation / np.linalg.norm(rotation)))
    return PoseStamped(header=header, pose=pose)


def _named(names: str, values: np.ndarray) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


def main() -> int:
    names = ", ".join(spec.name for spec in FOLLOW_PARAMETERS)
    epilog = f"Parameters are given as --ros-args -p NAME:=VALUE: {names}. docs/parameters.md describes them."
    usage = "%(prog)s [-h] [--ros-args -r depth:=TOPIC -r camera_info:=TOPIC -p NAME:=VALUE ...]"
    parser = argparse.ArgumentParser("follow", usage, __doc__.splitlines()[0], epilog)
    parser.parse_args(process.own_arguments("follow"))
    return process.run("follow", _run)


def _run() -> int:
    try:
        node = FollowNode()
    except Exception as error:  # a parameter of the wrong type or out of range
        if rclpy.ok():  # otherwise a signal has arrived in the meantime
            print(f"follow: {error}", file=sys.stderr)
            return 1
        return 0
    with contextlib.suppress(ExternalShutdownException):
        rclpy.spin(node)
    node.destroy_node()
    return 0


if __name__ == "__main__":
    sys.exit(main())
