"""What pages ask for as messages."""

from __future__ import annotations

from std_msgs.msg import Header

from sam2_ros.desk import requests, wire_prompt
from sam2_ros.desk.event import Event
from sam2_ros.msg import Prompt
from sam2_ros.ros import prompts
from sam2_ros.ros.stamps import time_message

MAX_STAMP = 2**31 * 1_000_000_000 - 1
"""ns; messages have no later ones."""


def header_message(stamp: int) -> Header:
    """The header of an image, by its stamp in ns; 0: the newest image."""
    return Header(stamp=time_message(stamp))


def stamp_of(request: Event) -> int:
    """The stamp that a request names, ns; 0: the newest image. Raises Refusal."""
    return requests.whole(request, "stamp", 0, MAX_STAMP, default=0)


def prompt_message(request: Event, size: tuple[int, int], may_name: bool = False) -> Prompt:
    """The message of a request's prompt.

    Args:
        size: height and width of the image.
        may_name: a label alone is a prompt, too: the new label of an object.

    Raises:
        Refusal: it is no prompt for an image of this size.
    """
    prompt = wire_prompt.prompt(requests.mapping(request, "prompt"), size, may_name)
    return prompts.to_message(prompt, prompt.object_id)
