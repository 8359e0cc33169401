"""The follow node: goals before the object, and a simulated robot that arrives at it."""

from __future__ import annotations

import math
from functools import partial
from types import ModuleType

import numpy as np
import pytest
from geometry_msgs.msg import Point, Pose, PoseStamped, PoseWithCovariance
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from robot import Graph, header_of, stamp_of
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.ros.follow import FollowNode, goal_before
from sam2_ros.ros.images import to_message
from sam2_ros.ros.stamps import nanoseconds, time_message

MATRIX = np.array([[200.0, 0.0, 159.5], [0.0, 200.0, 119.5], [0.0, 0.0, 1.0]])
SIZE = (240, 320)  # rows and columns
# The camera's optical frame in the robot's: looking ahead, 0.2 m before its middle, 0.6 m above the floor.
OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
CAMERA = np.array([0.2, 0.0, 0.6])


def rotation_of(goal: PoseStamped) -> np.ndarray:
    """The rotation matrix of a pose."""
    q = goal.pose.orientation
    x, y, z, w = q.x, q.y, q.z, q.w
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@pytest.mark.parametrize("position", [(0.0, 0.0, 3.0), (1.0, 0.5, 2.0), (-2.0, -0.3, 1.0)])
def test_goal_is_at_the_distance_and_faces_the_object(position: tuple[float, float, float]) -> None:
    goal = goal_before(np.array(position), 0.8, Header(frame_id="camera"))
    place = np.array([goal.pose.position.x, goal.pose.position.y, goal.pose.position.z])
    assert np.linalg.norm(position - place) == pytest.approx(0.8)
    front = rotation_of(goal)[:, 0]
    np.testing.assert_allclose(front, position / np.linalg.norm(position), atol=1e-12)
    assert goal.header.frame_id == "camera"


class FakeRobot:
    """A robot on a floor with a ball: a camera with depth, and wheels that go where nav2 would."""

    BALL, RADIUS = np.array([3.0, 1.0, 0.5]), 0.3
    STEP, TURN = 0.1, 0.2  # m and rad between images

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.place, self.heading = np.zeros(2), 0.0
        self.poses: dict[int, tuple[np.ndarray, float]] = {}  # when each image was taken, by its stamp
        camera = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        node = graph.robot
        self.images = node.camera
        self.depth = node.create_publisher(Image, "depth", camera)
        self.info = node.create_publisher(CameraInfo, "camera_info", camera)
        self.goals = node.listen(PoseStamped, "goal_pose")
        rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
        pixels = np.stack((columns, rows, np.ones(SIZE)), axis=-1)
        self.rays = pixels @ np.linalg.inv(MATRIX).T @ OPTICAL.T  # in the robot's frame, of depth 1
        self.noise = np.random.default_rng(5).integers(-12, 12, (*SIZE, 3))

    def rotation(self, heading: float) -> np.ndarray:
        c, s = math.cos(heading), math.sin(heading)
        return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])

    def look(self) -> tuple[np.ndarray, np.ndarray]:
        """What the camera sees: uint8 [H, W, 3] RGB, and depth in mm, uint16 [H, W]."""
        turn = self.rotation(self.heading)
        rays, camera = self.rays @ turn.T, turn @ CAMERA + np.array([*self.place, 0.0])
        away = camera - self.BALL
        a, b = (rays**2).sum(axis=-1), rays @ away
        inside = b**2 - a * (away @ away - self.RADIUS**2)
        ball = np.where(inside > 0, (-b - np.sqrt(np.maximum(inside, 0))) / a, np.inf)
        ball[ball <= 0] = np.inf
        with np.errstate(divide="ignore"):
            floor = np.where(rays[..., 2] < 0, -camera[2] / rays[..., 2], np.inf)
        depth = np.minimum(np.minimum(floor, ball), 8.0)
        colours = np.where((floor < 8.0)[..., None], (120, 110, 100), (170, 190, 210)) + self.noise
        colours[ball < np.inf] = (200, 30, 30)
        return np.clip(colours, 0, 255).astype(np.uint8), (depth * 1000).astype(np.uint16)

    def send(self, index: int) -> msg.MaskletArray:
        """Takes a picture where the robot is, and waits for its masklets."""
        colours, depth = self.look()
        header = Header(stamp=time_message(stamp_of(index)), frame_id="camera_optical")
        self.poses[stamp_of(index)] = (self.place.copy(), self.heading)
        self.info.publish(CameraInfo(header=header, height=SIZE[0], width=SIZE[1], k=MATRIX.ravel()))
        self.depth.publish(to_message(depth, "16UC1", header))
        return self.graph.robot.send(to_message(colours, "rgb8", header))

    def drive(self, goal: PoseStamped) -> None:
        """Goes towards a goal for the time of one image, as nav2 would: the goal is transformed by TF, and has no z."""
        place, heading = self.poses[nanoseconds(goal.header.stamp)]
        turn = self.rotation(heading)
        position = goal.pose.position
        target = turn @ (OPTICAL @ (position.x, position.y, position.z) + CAMERA) + np.array([*place, 0.0])
        front = turn @ OPTICAL @ rotation_of(goal)[:, 0]
        way = target[:2] - self.place
        self.place = self.place + way * min(1.0, self.STEP / max(np.linalg.norm(way), 1e-9))
        angle = math.remainder(math.atan2(front[1], front[0]) - self.heading, math.tau)
        self.heading += max(-self.TURN, min(self.TURN, angle))

    def has_goal(self, stamp: int) -> bool:
        return bool(self.goals) and nanoseconds(self.goals[-1].header.stamp) == stamp

    @property
    def distance(self) -> float:
        return float(np.linalg.norm(self.BALL[:2] - self.place))


@pytest.fixture
def fake(graph: Graph) -> FakeRobot:
    return FakeRobot(graph)


def test_robot_arrives_at_the_object_that_was_clicked(vision: ModuleType, graph: Graph, fake: FakeRobot) -> None:
    """The whole chain over DDS: camera, sam2 with its default weights, follow, and wheels."""
    robot = graph.robot
    node = graph.sam2()
    graph.add(FollowNode(context=graph.context, parameter_overrides=[Parameter("period", value=0.0)]))
    robot.wait_until_connected()
    inputs = (fake.depth.topic_name, fake.info.topic_name)
    robot.wait_for(lambda: all(map(robot.count_subscribers, inputs)), "for follow")
    robot.wait_for(lambda: node.cameras[0].outputs.measuring.wanted, "for follow")
    fake.send(0)
    x, y, z = OPTICAL.T @ (fake.BALL - CAMERA)
    click = msg.Click(x=200 * x / z + 159.5, y=200 * y / z + 119.5)
    assert robot.prompt(msg.Prompt(label="red ball", clicks=[click]))[0].accepted
    for index in range(1, 50):
        assert fake.send(index).masklets[0].present
        if fake.distance > 1.2:
            robot.wait_for(partial(fake.has_goal, stamp_of(index)), "for a goal")
        fake.drive(fake.goals[-1])
    visible = fake.RADIUS * 2 / 3  # the mean of a ball's visible side is so far before its middle
    assert fake.distance == pytest.approx(0.8 + visible, abs=0.1)
    towards = fake.BALL[:2] - fake.place
    assert abs(math.remainder(math.atan2(towards[1], towards[0]) - fake.heading, math.tau)) < 0.1


def test_goals_come_once_a_period_and_only_for_the_chosen_object(graph: Graph, vision: ModuleType) -> None:
    robot = graph.robot
    graph.add(FollowNode(context=graph.context, parameter_overrides=[Parameter("label", value="cup")]))
    goals = robot.listen(PoseStamped, "goal_pose")
    objects = robot.create_publisher(vision.Detection3DArray, "sam2/objects_3d", 1000)
    robot.wait_for(lambda: objects.get_subscription_count() and robot.count_publishers("goal_pose"), "for follow")

    def seen(object_id: int, label: str, x: float, z: float = 2.0) -> object:
        pose = PoseWithCovariance(pose=Pose(position=Point(x=x, z=z)))
        hypothesis = vision.ObjectHypothesis(class_id=label, score=1.0)
        results = [vision.ObjectHypothesisWithPose(hypothesis=hypothesis, pose=pose)]
        return vision.Detection3D(id=str(object_id), results=results)

    def send(index: int, *detections: object) -> None:
        objects.publish(vision.Detection3DArray(header=header_of(index), detections=list(detections)))

    hand, cup, other = seen(1, "hand", -1.0), seen(2, "cup", 1.0), seen(3, "cup", -1.0)
    send(0)
    send(1, hand)
    send(2, vision.Detection3D(id="2"), seen(2, "cup", math.nan), seen(2, "cup", 0.0, z=0.5))  # nothing to go to
    for index in range(3, 25, 5):  # every half second; all messages fit into the queue
        send(index, hand, cup, other)
    send(1, hand, cup)  # a looped bag
    robot.wait_for(lambda: len(goals) == 4, "for goals")
    assert [nanoseconds(goal.header.stamp) for goal in goals] == [stamp_of(index) for index in (3, 13, 23, 1)]
    assert all(goal.pose.position.x > 0 for goal in goals)  # to object 2


def test_missing_vision_msgs_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sam2_ros.ros.follow.vision_messages", lambda: None)
    with pytest.raises(ImportError, match=r"sudo apt install ros-\w+-vision-msgs"):
        FollowNode()
