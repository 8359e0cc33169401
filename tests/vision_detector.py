"""A detector that publishes messages of vision_msgs; the fixture `vision` has the module."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from robot import Robot, header_of


class Detector:
    """Publishes boxes on `detections`, for the robot's images."""

    def __init__(self, robot: Robot, messages: ModuleType, topic: str = "detections") -> None:
        self.messages = messages
        self._robot = robot
        self._publisher = robot.create_publisher(messages.Detection2DArray, topic, 10)

    def wait_until_connected(self) -> None:
        self._robot.wait_for(self._publisher.get_subscription_count, "for a subscription to detections")

    def detection(
        self, box: tuple[float, float, float, float], label: str, score: float, theta: float = 0.0, object_id: str = ""
    ) -> Any:
        """A Detection2D with a box of centre and size, and two hypotheses, of which the second is more likely."""
        x, y, width, height = (float(number) for number in box)
        vision = self.messages
        centre = vision.Pose2D(position=vision.Point2D(x=x, y=y), theta=theta)
        results = [
            vision.ObjectHypothesisWithPose(hypothesis=vision.ObjectHypothesis(class_id=name, score=value))
            for name, value in (("nothing", score / 2), (label, score))
        ]
        bbox = vision.BoundingBox2D(center=centre, size_x=width, size_y=height)
        return vision.Detection2D(bbox=bbox, results=results, id=object_id)

    def detect(self, index: int, *detections: Any) -> None:
        """Publish detections on image number `index`."""
        self._publisher.publish(self.messages.Detection2DArray(header=header_of(index), detections=list(detections)))
