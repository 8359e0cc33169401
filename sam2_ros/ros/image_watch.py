"""The watch over a subscription to images: why none arrive, and whether their stamps are of this node's clock."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.node import Node
from rclpy.subscription import Subscription

from sam2_ros.ros.problems import OK, STALE, WARN, Problem

IMAGE_TIMEOUT = 5.0
"""Seconds without an image until it is a problem."""

MAX_AGE = 1.0
"""Seconds by which stamps may differ from the clock when images arrive."""

OTHER_CLOCK = 3600.0
"""Seconds of difference from which the stamps are of another clock, or of a recording."""


class ImageWatch:
    """Notes when images arrive, and with which stamps.

    Args:
        images: the subscription; it counts from now.
        name: the name to remap, `image` or `front/image`.
        steady: a monotonic clock, s.
    """

    def __init__(
        self, node: Node, images: Subscription, name: str, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._node = node
        self._images = images
        self._name = name
        self._steady = steady
        self._began = steady()
        self._newest: tuple[float, int] | None = None  # s of the steady clock, and stamp, ns

    def image_arrived(self, stamp: int) -> None:
        """Note the arrival of an image. `stamp` is its header's, ns; 0: none."""
        self._newest = self._steady(), stamp

    def problem(self) -> Problem | None:
        """The problem with the arriving images, if there is one."""
        newest, now = self._newest, self._steady()
        silent = now - (self._began if newest is None else newest[0])
        if silent >= IMAGE_TIMEOUT:
            what = f"no {self._images.msg_type.__name__} has come on {self._images.topic_name} for {silent:.0f} s"
            if newest is None:
                return Problem("no images", WARN, f"{what}; {self._reason(came_before=False)}")
            return Problem("no images", STALE, f"{what}, the masklets are as old; {self._reason(came_before=True)}")
        if newest is None or newest[1] <= 0:
            return None
        time_of_ros = self._node.get_clock().now().nanoseconds
        return clock_problem((time_of_ros - newest[1]) / 1e9 - silent) if time_of_ros else None

    def _reason(self, came_before: bool) -> str:
        """Why no images come, as far as the graph tells, and what to do."""
        topic = self._images.topic_name
        publishers = self._node.get_publishers_info_by_topic(topic)
        types = sorted({publisher.topic_type for publisher in publishers})
        if topic.endswith("/compressed"):
            other, transport = topic.removesuffix("/compressed"), "raw"
        else:
            other, transport = f"{topic}/compressed", "compressed"
        if self._images.get_publisher_count():
            names = sorted({f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in publishers})
            return (
                f"its publisher {', '.join(names)} sends nothing: is the camera plugged in, its driver stuck, the bag"
                " paused? Or nothing arrives: docs/install.md, Large images get lost"
            )
        if types:
            return f"the type published there is {', '.join(types)}"
        if self._node.count_publishers(other):
            return f"there is no publisher, but there is one on {other}: set image_transport to {transport}"
        if came_before:
            return "there is no publisher any more: start the camera again"
        return (
            "there is no publisher: start the camera, set the image argument of the launch file, or remap"
            f" `{self._name}`"
        )


def clock_problem(age: float) -> Problem | None:
    """The problem with images that arrive `age` s after their stamps, if there is one."""
    if abs(age) > OTHER_CLOCK:
        direction = "behind" if age > 0 else "ahead of"
        text = (
            f"the stamps of the images are {abs(age) / 3600:.0f} h {direction} this node's clock; used as they"
            " are. A bag: play it with --clock and set use_sim_time. A camera: set its clock, if TF or others need it"
        )
        return Problem("clock", OK, text)
    if age < -MAX_AGE:
        text = (
            f"the stamps of the images are {-age:.1f} s ahead of this node's clock: synchronise the clocks of camera"
            " and machine (chrony, PTP); with a bag or a simulation, set use_sim_time"
        )
        return Problem("clock", WARN, text)
    if age > MAX_AGE:
        text = (
            f"images are {age:.1f} s old when they arrive: the driver or the network holds them back, the camera's"
            " clock is behind this machine's (chrony, PTP), or a bag is played without --clock and use_sim_time"
        )
        return Problem("clock", WARN, text)
    return None
