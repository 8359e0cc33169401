"""What requests about a project say, checked."""

from __future__ import annotations

from sam2_ros.desk import requests
from sam2_ros.desk.event import Event
from sam2_ros.desk.refusal import Refusal
from sam2_ros.tracking.prompt import MAX_OBJECT_ID

LONGEST = 24 * 3600.0
"""Seconds that an action can take a person."""


def frame(request: Event, last: int, name: str = "frame") -> int:
    """Index of an image, up to the last one. Raises Refusal, as all of these do."""
    return requests.whole(request, name, 0, last)


def object_id(request: Event) -> int:
    return requests.whole(request, "object_id", 1, MAX_OBJECT_ID)


def object_ids(request: Event) -> list[int] | None:
    """None: all."""
    given = request.get("object_ids")
    if given is None:
        return None
    if not isinstance(given, list) or len(given) > MAX_OBJECT_ID:
        raise Refusal("object_ids must be a list of IDs")
    return [object_id({"object_id": one}) for one in given]


def phase(request: Event, least: int, default: int) -> int:
    return requests.whole(request, "phase", least, 3, default)


def choice(request: Event) -> int | None:
    """Place of one of the candidates; None: the best one."""
    return None if request.get("choice") is None else requests.whole(request, "choice", 0, 9)


def seen(request: Event) -> int | None:
    """The last action that the page knew of; None: it has seen the newest."""
    return None if request.get("seen") is None else requests.whole(request, "seen", 0, requests.MAX_ID)


def seconds(request: Event) -> float:
    """How long it took the person."""
    return requests.number(request, "seconds", 0.0, LONGEST, 0.0)
