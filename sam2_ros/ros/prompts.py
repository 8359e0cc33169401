"""Prompts from messages: prompts, clicks from a viewer, boxes from a detector."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from geometry_msgs.msg import Point
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.data.image_message import ImageError, mask_of
from sam2_ros.detection.policy import MAX_BOXES, Detection
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.images import to_message as to_image
from sam2_ros.tracking.prompt import Box, Click, Prompt, PromptError

if TYPE_CHECKING:
    from vision_msgs.msg import Detection2D, Detection2DArray  # optional


def from_message(message: msg.Prompt) -> Prompt:
    """A prompt for the tracker, which makes the checks that depend on the size of the image.

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


def points(message: msg.Prompt) -> bool:
    """Whether a prompt points at something; otherwise it gives an object another label, at most."""
    return bool(message.clicks or message.box.width or message.box.height or message.mask.data)


def to_message(prompt: Prompt, object_id: int) -> msg.Prompt:
    """The message of an applied prompt and its object; sent again, it has the same effect.

    Args:
        prompt: a checked prompt, so that its box is within the image.
    """
    message = msg.Prompt(object_id=object_id, label=prompt.label, replace=prompt.replace)
    message.clicks = [msg.Click(x=float(click.x), y=float(click.y), positive=click.positive) for click in prompt.clicks]
    if prompt.box is not None:
        x, y, width, height = map(round, prompt.box)
        message.box = RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height)
    if prompt.mask is not None:
        message.mask = to_image(prompt.mask.astype(np.uint8) * 255, "mono8", Header())
    return message


def from_point(point: Point) -> Prompt:
    """A new object under a click on an image.

    Raises:
        PromptError: the point is in space, like that of RViz's Publish Point.
    """
    if point.z:
        raise PromptError(
            f"({point.x:g}, {point.y:g}, {point.z:g}) is a point in space; a click is a column and a row, its z is 0"
        )
    return Prompt(clicks=(Click(point.x, point.y),))


def from_detections(message: Detection2DArray, min_score: float) -> tuple[list[Detection], Counter[str]]:
    """The detections with a sufficient score, labelled with their classes; best first, at most `MAX_BOXES`.

    Args:
        min_score: minimum score of the best hypothesis. NaN and infinity are not scores.

    Returns:
        The detections, and the number of those left out by reason: "without score", "unsure", "in excess".
    """
    left_out: Counter[str] = Counter()
    sure: list[tuple[float, str, Detection2D]] = []
    for detection in message.detections:
        hypotheses = [result.hypothesis for result in detection.results if math.isfinite(result.hypothesis.score)]
        best = max(hypotheses, key=lambda hypothesis: hypothesis.score, default=None)
        if best is None:
            left_out["without score"] += 1
        elif best.score < min_score:
            left_out["unsure"] += 1
        else:
            sure.append((best.score, best.class_id, detection))
    sure.sort(key=lambda scored: -scored[0])
    left_out["in excess"] += max(0, len(sure) - MAX_BOXES)
    return [Detection(_enclosing_box(one), label, score) for score, label, one in sure[:MAX_BOXES]], +left_out


def _enclosing_box(detection: Detection2D) -> Box:
    """The upright box around a detection's, which may be rotated; in whole pixels if all numbers are finite."""
    centre, width, height = detection.bbox.center, detection.bbox.size_x, detection.bbox.size_y
    theta = centre.theta if math.isfinite(centre.theta) else 0.0
    cos, sin = abs(math.cos(theta)), abs(math.sin(theta))
    width, height = width * cos + height * sin, width * sin + height * cos
    x, y = centre.position.x - width / 2, centre.position.y - height / 2
    if all(map(math.isfinite, (x, y, width, height))):  # otherwise the tracker refuses it with the reason
        x, y, width, height = (round(number) for number in (x, y, width, height))  # as in messages
    return Box(x, y, width, height)


def refused(header: Header, object_id: int, reason: str) -> msg.PromptResult:
    """The result of a refused prompt, with its header and the reason. Long texts are shortened."""
    named = Header(stamp=header.stamp, frame_id=excerpt(header.frame_id))
    return msg.PromptResult(header=named, object_id=object_id, message=excerpt(reason))
