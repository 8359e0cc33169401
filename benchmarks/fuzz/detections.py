"""Hostile detections, where vision_msgs is installed."""

from __future__ import annotations

import numpy as np
from std_msgs.msg import Header

from fuzz import scene
from fuzz.answers import tagged
from fuzz.attack import Attack, number
from fuzz.prompts import when
from fuzz.rig import Rig

try:
    from vision_msgs import msg as vision
except ImportError:
    vision = None

TAG = "detections"
"""All detections have one account: an object that is corrected keeps the label of its first one."""


class Detections(Attack):
    """Boxes without size, without score, of NaN and infinity, by the hundred."""

    name = "detections"

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._detections = rig.publisher(vision.Detection2DArray, "detections") if vision else None

    @property
    def is_possible(self) -> bool:
        return self._detections is not None and self._detections.get_subscription_count() > 0

    def send(self, random: np.random.Generator) -> str:
        count = int(random.choice([0, 1, 3, 10, 300], p=[0.05, 0.45, 0.35, 0.13, 0.02]))
        header = Header(stamp=when(random, self.rig.index), frame_id=tagged(TAG))
        array = vision.Detection2DArray(header=header)
        array.detections = [self._detection(random) for _ in range(count)]
        self.rig.answers.expect(TAG, count, at_most=True)
        self._detections.publish(array)
        return f"{count} detections"

    def _detection(self, random: np.random.Generator):
        detection = vision.Detection2D()
        box = detection.bbox
        if random.random() < 0.1:  # something that could be there
            box.size_x, box.size_y = (float(side) for side in random.uniform(5, 60, 2))
            box.center.position.x = float(random.uniform(0, scene.WIDTH))
            box.center.position.y = float(random.uniform(0, scene.HEIGHT))
        else:
            numbers = [number(random) if random.random() < 0.5 else 20.0 for _ in range(5)]
            box.center.position.x, box.center.position.y, box.size_x, box.size_y, box.center.theta = numbers
        for _ in range(int(random.integers(4))):
            score = number(random) if random.random() < 0.3 else float(random.uniform(-0.5, 1.5))
            hypothesis = vision.ObjectHypothesis(class_id=tagged(TAG, "é" * int(random.choice([1, 400]))), score=score)
            detection.results.append(vision.ObjectHypothesisWithPose(hypothesis=hypothesis))
        return detection
