"""The prompts in a bag: those that a node has applied, or those that were sent to it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader

from sam2_ros.data.bag import clip_errors
from sam2_ros.data.bag_types import definitions, typestore
from sam2_ros.data.clips import ClipError
from sam2_ros.data.image_message import ImageError, mask_of
from sam2_ros.data.timed_prompt import Moment, TimedPrompt
from sam2_ros.tracking.prompt import Box, Click, Prompt

PROMPTS = "sam2_ros/msg/PromptArray"
APPLIED, SENT = "applied_prompts", "prompts"
"""Last parts of the node's topics."""


def prompt_topics(bag: str | Path) -> list[str]:
    """The topics with prompts in a bag, applied ones first. Raises ClipError."""
    path = Path(bag)
    with clip_errors(path), _reader(path) as reader:
        topics = {one.topic for one in reader.connections if one.msgtype == PROMPTS and one.msgcount}
    return sorted(topics, key=lambda topic: (not topic.endswith(f"/{APPLIED}"), topic))


def choose_topic(bag: str | Path, topic: str | None = None) -> str | None:
    """The topic of a bag's prompts: the given one, the only one with applied prompts, or the only one with prompts.

    Returns:
        None: no topic is given, and none has prompts.

    Raises:
        ClipError: the bag is damaged, or does not have the topic, or several.
    """
    topics = prompt_topics(bag)
    if topic is not None:
        if topic not in topics:
            there = ", ".join(topics) or "none"
            raise ClipError(bag, f"there are no prompts on {topic}; topics with prompts: {there} (--prompts TOPIC)")
        return topic
    applied = [name for name in topics if name.endswith(f"/{APPLIED}")]
    candidates = applied or topics
    if len(candidates) > 1:
        raise ClipError(bag, f"there are prompts on {', '.join(candidates)}; choose with --prompts TOPIC")
    return candidates[0] if candidates else None


def read_bag_prompts(
    bag: str | Path, topic: str, stamps: Sequence[int], times: Sequence[int]
) -> tuple[list[TimedPrompt], list[str]]:
    """The prompts on a topic of a bag, in the order in which they were recorded.

    One without a stamp is for the newest image that was recorded before it, or else the first.

    Args:
        stamps: those of the images, ascending, ns.
        times: when the images were recorded, ns.

    Returns:
        The prompts, and the names of those whose masks cannot be read, with the reason.

    Raises:
        ClipError: the bag is damaged.
    """
    path = Path(bag)
    prompts: list[TimedPrompt] = []
    left_out: list[str] = []
    by_time = sorted(zip(times, stamps, strict=True))
    recorded, newest = [time for time, _ in by_time], list(accumulate((stamp for _, stamp in by_time), max))

    def moment(stamp: int, time: int) -> Moment | None:
        if stamp:
            return Moment(stamp, "ns")
        before = bisect_right(recorded, time)
        return Moment(newest[before - 1], "ns") if before else None

    with clip_errors(path), _reader(path) as reader:
        connections = [one for one in reader.connections if one.topic == topic]
        for connection, time, data in reader.messages(connections):
            array: Any = reader.deserialize(data, connection.msgtype)
            stamp = array.header.stamp.sec * 1_000_000_000 + array.header.stamp.nanosec
            for message in array.prompts:
                name = f"prompt {len(prompts) + len(left_out) + 1} on {topic}"
                try:
                    prompts.append(TimedPrompt(_prompt(message), moment(stamp, time), name))
                except ImageError as error:
                    left_out.append(f"{name}: the mask cannot be read: {error}")
    return prompts, left_out


def _reader(path: Path) -> AnyReader:
    return AnyReader([path], default_typestore=typestore() if definitions() else None)


def _prompt(message: Any) -> Prompt:
    """The prompt in a message. Raises ImageError."""
    box, mask = message.box, message.mask
    return Prompt(
        object_id=int(message.object_id),
        clicks=tuple(Click(float(click.x), float(click.y), bool(click.positive)) for click in message.clicks),
        box=Box(box.x_offset, box.y_offset, box.width, box.height) if box.width or box.height else None,
        mask=mask_of(mask) if len(mask.data) or mask.height or mask.width else None,
        label=message.label,
        replace=bool(message.replace),
    )
