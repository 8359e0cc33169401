"""`follow`: an example that sends nav2 to an object: from `~/objects_3d` of the sam2 node to goals.

ros2 run sam2_ros follow --ros-args -p label:=cup -p stop_distance:=1.0
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import Header

from sam2_ros.command_line import CommandParser
from sam2_ros.ros import process
from sam2_ros.ros.declaration import declare
from sam2_ros.ros.parameters import FOLLOW_PARAMETERS
from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.ros.vision_messages import vision_messages

DESCRIPTION = "An example that sends nav2 to an object: from `~/objects_3d` of the sam2 node to goals."
EXAMPLES = "%(prog)s --ros-args -p label:=cup -p stop_distance:=1.0"


class FollowNode(Node):
    """Publishes where a robot stands that has come to the object, facing it, as PoseStamped on `goal_pose`.

    The goals are in the camera's optical frame at the time of the image, as the objects are; nav2 transforms them into
    its own frame. Nothing is published while the object is hidden or as near as `stop_distance`: nav2 then goes on to
    the last goal, or stays.

    Raises:
        ImportError: vision_msgs is not installed.
        ValueError: a parameter is not accepted.
    """

    def __init__(self, **kwargs) -> None:
        if (vision := vision_messages()) is None:
            name = f"ros-{os.environ.get('ROS_DISTRO', 'jazzy')}-vision-msgs"
            raise ImportError(f"vision_msgs is not installed: sudo apt install {name}")
        super().__init__("follow", **kwargs)
        declare(self, FOLLOW_PARAMETERS)
        self._last = 0  # ns, the stamp of the last goal
        self._goals = self.create_publisher(PoseStamped, "goal_pose", 10)
        self.create_subscription(vision.Detection3DArray, "sam2/objects_3d", self._on_objects, 10)

    def _on_objects(self, message: Any) -> None:
        since = nanoseconds(message.header.stamp) - self._last
        if (chosen := self._chosen(message)) is None or 0 <= since < self.get_parameter("period").value * 1e9:
            return
        position = chosen.results[0].pose.pose.position  # the middle of the side that the camera sees
        place = np.array([position.x, position.y, position.z])
        stop = self.get_parameter("stop_distance").value
        if np.isfinite(place).all() and np.linalg.norm(place) > stop:
            self._last += since
            self._goals.publish(goal_before(place, stop, message.header))

    def _chosen(self, message: Any) -> Any | None:
        """The object with the wanted ID and label; of several, the first, which has the lowest ID."""
        object_id, label = self.get_parameter("object_id").value, str(self.get_parameter("label").value)
        known = [one for one in message.detections if one.results]
        wanted = [one for one in known if not label or one.results[0].hypothesis.class_id == label]
        return next((one for one in wanted if not object_id or one.id == str(object_id)), None)


def goal_before(place: np.ndarray, distance: float, header: Header) -> PoseStamped:
    """The pose of a robot at a distance before a place, float [3] in metres, looking at it along its x axis."""
    direction = place / np.linalg.norm(place)
    # The shortest rotation of the x axis to that direction: half the angle, about their cross product.
    x, y, z = direction
    rotation = np.array([0.0, -z, y, 1.0 + x])
    pose = Pose(position=Point(**_named("xyz", place - distance * direction)))
    pose.orientation = Quaternion(**_named("xyzw", rotation / np.linalg.norm(rotation)))
    return PoseStamped(header=header, pose=pose)


def _named(names: str, values: np.ndarray) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


def main() -> int:
    names = ", ".join(spec.name for spec in FOLLOW_PARAMETERS)
    parameters = f"Parameters are given as --ros-args -p NAME:=VALUE: {names}. docs/parameters.md describes them."
    usage = "%(prog)s [-h] [--ros-args -r sam2/objects_3d:=TOPIC -r goal_pose:=TOPIC -p NAME:=VALUE ...]"
    parser = CommandParser("sam2_ros.ros.follow", f"{DESCRIPTION}\n\n{parameters}", EXAMPLES, usage)
    parser.parse_args(process.own_arguments("follow"))
    return process.run("follow", _run)


def _run() -> int:
    try:
        node = FollowNode()
    except Exception as error:  # vision_msgs is missing, a parameter of the wrong type or out of range
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
