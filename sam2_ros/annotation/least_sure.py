"""Where the model is least sure: the places that a person who corrects should look at next."""

from __future__ import annotations

from typing import NamedTuple

from sam2_ros.annotation.project import Project

PLACES = 10
"""How many places are gone through in turn."""

APART = 1.0
"""Seconds, at least, between two places of an object: its masks nearby are as doubtful for the same reason."""


class Place(NamedTuple):
    """A mask that may be wrong. In order of time, and of objects on one frame."""

    frame: int
    object_id: int
    iou: float
    """That has to be expected of the mask, 0 .. 1 (`Project.doubts`)."""


def places(project: Project, object_id: int | None = None, count: int = PLACES) -> list[Place]:
    """The masks that the model is least sure of, those most in doubt first.

    Masks by hand are left out. No two places of an object are within a second of each other.

    Args:
        object_id: None: all objects that are proposed or open. What is verified or rejected has been looked at.
        count: the largest number of places.
    """
    apart = max(1, round(APART * project.fps))
    found: list[Place] = []
    for number, frame, iou in project.doubts(object_id):
        if len(found) == count:
            break
        if all(place.object_id != number or abs(place.frame - frame) >= apart for place in found):
            found.append(Place(frame, number, iou))
    return found


def least_sure(project: Project, object_id: int | None = None, after: int | Place | None = None) -> Place | None:
    """The place to look at next.

    The first time it is the one most in doubt; from a frame on, it is the next one in time of the `PLACES` most in
    doubt, and after the last one the first. In order of time, because an error is followed by its consequences: what is
    corrected early mends what comes after it. And because nobody has to remember what was looked at: in order of need,
    a mask that is fine, though the model doubts it, would come up again and again.

    Args:
        object_id: None: all objects that are proposed or open.
        after: where the person is: a frame, or the place that was looked at last. None: nowhere yet.

    Returns:
        None: there are no masks but those by hand.
    """
    worst = places(project, object_id)
    if after is None or not worst:
        return worst[0] if worst else None
    here = after[:2] if isinstance(after, Place) else (after + 1,)
    ordered = sorted(worst)
    return next((place for place in ordered if place[:2] > here), ordered[0])
