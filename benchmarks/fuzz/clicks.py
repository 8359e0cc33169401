"""Hostile clicks, as viewers send them."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, PointStamped
from std_msgs.msg import Header

from fuzz import scene
from fuzz.answers import UNTAGGED
from fuzz.attack import Attack, number, text
from fuzz.prompts import when
from fuzz.rig import Rig


def point(random: np.random.Generator) -> Point:
    """A point that is nowhere on the image, or, seldom, somewhere on it."""
    where = random.random()
    if where < 0.1:
        return Point(x=random.uniform(0, scene.WIDTH), y=random.uniform(0, scene.HEIGHT))
    if where < 0.4:  # in space, as from RViz's Publish Point
        return Point(x=1.0, y=2.0, z=number(random))
    return Point(x=number(random), y=float(random.choice([0.0, 60.0, -3.0])))


class Clicks(Attack):
    """Stamped clicks on ~/click."""

    name = "~/click"

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._clicks = rig.publisher(PointStamped, "sam2/click")

    def send(self, random: np.random.Generator) -> str:
        header = Header(stamp=when(random, self.rig.index), frame_id=text(random))
        click = PointStamped(header=header, point=point(random))
        self.rig.answers.expect(UNTAGGED)
        self._clicks.publish(click)
        return f"a click at {click.point}"


class MouseClicks(Attack):
    """Clicks of rqt_image_view, which have no header."""

    name = "mouse"

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        topics = "image_mouse_left", "sam2/overlay_mouse_left"
        self._publishers = [rig.publisher(Point, topic) for topic in topics]

    @property
    def is_possible(self) -> bool:
        return all(publisher.get_subscription_count() for publisher in self._publishers)

    def send(self, random: np.random.Generator) -> str:
        click = point(random)
        self.rig.answers.expect(UNTAGGED)
        self._publishers[random.integers(2)].publish(click)
        return f"a mouse click at {click}"
