"""The watch over arriving images: how long none has come and why, and whether their stamps are of this node's clock."""

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
    """Watches the arrival of one camera's images. Thread-safe, as each method only reads or writes one attribute.

    Args:
        node: the node that subscribes.
        steady: a monotonic clock, s.
    """

    def __init__(self, node: Node, steady: Callable[[], float] = time.monotonic) -> None:
        self._node = node
        self._steady = steady
        self._last: tuple[float, int] | None = None  # s of the steady clock, and stamp, ns; of the newest image
        self._began = steady()

    def begin(self) -> None:
        """Note that images are awaited from now on."""
        self._last, self._began = None, self._steady()

    def arrived(self, stamp: int) -> None:
        """Note the arrival of an image. `stamp` is its header's, ns; 0: none."""
        self._last = self._steady(), stamp

    def problem(self, images: Subscription) -> Problem | None:
        """The problem with the images of a subscription, if there is one."""
        last, now = self._last, self._steady()
        silent = now - (self._began if last is None else last[0])
        if silent >= IMAGE_TIMEOUT:
            what = f"no {images.msg_type.__name__} has come on {images.topic_name} for {silent:.0f} s"
            level = WARN
            if last is not None:
                what, level = f"{what}, the masklets are as old", STALE
            return Problem("no images", level, f"{what}; {self._reason(images, gone=last is not None)}")
        if last is None or last[1] <= 0:
            return None
        time_of_ros = self._node.get_clock().now().nanoseconds
        return clock_problem(time_of_ros / 1e9 - silent - last[1] / 1e9) if time_of_ros else None

    def _reason(self, images: Subscription, gone: bool) -> str:
        """Why no images come, as far as the graph tells, and what to do."""
        node, topic = self._node, images.topic_name
        publishers = node.get_publishers_info_by_topic(topic)
        types = sorted({info.topic_type for info in publishers})
        if topic.endswith("/compressed"):
            other, transport = topic.removesuffix("/compressed"), "raw"
        else:
            other, transport = f"{topic}/compressed", "compressed"
        if images.get_publisher_count():
            names = sorted({f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in publishers})
            return (
                f"its publisher {', '.join(names)} sends nothing: is the camera plugged in, its driver stuck? Or nothing"
                " arrives: see docs/install.md, Large images get lost"
            )
        if types:
            return f"the type published there is {', '.join(types)}"
        if node.count_publishers(other):
            return f"there is no publisher, but there is one on {other}: set image_transport to {transport}"
        if gone:
            return "there is no publisher any more: start the camera's driver again"
        return "there is no publisher: set the image argument of the launch file, or remap `image`"


def clock_problem(age: float) -> Problem | None:
    """The problem with images that arrive `age` s after their stamp, if there is one."""
    if abs(age) > OTHER_CLOCK:
        direction = "behind" if age > 0 else "ahead of"
        return Problem(
            "clock",
            OK,
            f"the stamps of the images are {abs(age) / 3600:.0f} h {direction} this node's clock; they are used as they"
            " are. A bag: play it with --clock and set use_sim_time. A camera: set its clock, if TF or detectors need it",
        )
    if age < -MAX_AGE:
        return Problem(
            "clock",
            WARN,
            f"the stamps of the images are {-age:.1f} s ahead of this node's clock: synchronise the clocks of the camera"
            " and this machine (chrony, PTP); with a bag or a simulation, set use_sim_time",
        )
    if age > MAX_AGE:
        return Problem(
            "clock",
            WARN,
            f"images are {age:.1f} s old when they arrive: the driver or the network holds them back, the clock of the"
            " camera is behind this machine's (chrony, PTP), or a bag is played without --clock and use_sim_time",
        )
    return None
