"""Prompts out of messages: our own, a click from a viewer, a detector's boxes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from geometry_msgs.msg import Point

from sam2_ros import msg
from sam2_ros.ros.images import ImageError, mask_of
from sam2_ros.tracking.prompt import Box, Click, Prompt, PromptError

if TYPE_CHECKING:
    from vision_msgs.msg import Detection2DArray  # not everywhere


def from_message(message: msg.Prompt) -> Prompt:
    """A prompt as the tracker takes it. What depends on the image's size is checked there.

    Raises:
        PromptError: the mask cannot be read.
    """
    box = message.box
    mask = None
    if message.mask.data or message.mask.height or message.mask.width:
        try:
            mask = mask_of(message.mask)
        except ImageError as error:
            raise PromptError(f"the mask cannot be read: {error}") from error
    return Prompt(
        object_id=message.object_id,
        clicks=tuple(Click(click.x, click.y, click.positive) for click in message.clicks),
        box=Box(box.x_offset, box.y_offset, box.width, box.height) if box.width or box.height else None,
        mask=mask,
        label=message.label,
        replace=message.replace,
    )


def from_point(point: Point) -> Prompt:
    """A new object under a click."""
    return Prompt(clicks=(Click(point.x, point.y),))


def from_detections(message: Detection2DArray, min_score: float) -> Iterator[Prompt]:
    """A new object for every detection that its detector is sure enough of, named by its class."""
    for detection in message.detections:
        best = max((result.hypothesis for result in detection.results), key=lambda found: found.score, default=None)
        if best is None or not best.score >= min_score:
            continue
        centre, width, height = detection.bbox.center, detection.bbox.size_x, detection.bbox.size_y
        theta = centre.theta if math.isfinite(centre.theta) else 0.0
        cos, sin = abs(math.cos(theta)), abs(math.sin(theta))
        width, height = width * cos + height * sin, width * sin + height * cos
        x, y = centre.position.x - width / 2, centre.position.y - height / 2
        yield Prompt(box=Box(x, y, width, height), label=best.class_id)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0 .. 1."""
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a.width * a.height + b.width * b.height - width * height)
