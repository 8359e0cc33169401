"""What is known of objects over the whole recording, short enough to be drawn: stretches of frames that are alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from sam2_ros.annotation.annotated_mask import Rating
from sam2_ros.annotation.project import Project

STEPS = 20
"""Predicted IoUs that round to the same of so many steps are alike."""


@dataclass(frozen=True)
class Stretch:
    """Frames without a gap between them, on which as much is known of an object."""

    first: int
    last: int
    """Included."""
    origin: str
    """Of the masks: one of `ORIGINS`."""
    present: bool
    iou: float
    """Mean predicted IoU, 0 .. 1."""


def timeline(project: Project, object_ids: Iterable[int] | None = None) -> dict[int, list[Stretch]]:
    """The stretches of objects, in order, by ID; None: of all objects. Frames that are in none are unknown."""
    chosen = [one.object_id for one in project.objects()] if object_ids is None else object_ids
    return {object_id: list(_stretches(project.ratings_of(object_id))) for object_id in chosen}


def _stretches(ratings: Iterable[Rating]) -> Iterator[Stretch]:
    # frame minus place is the same for frames without a gap
    alike = groupby(enumerate(ratings), lambda one: (one[1].frame - one[0], *_kind(one[1])))
    for _, group in alike:
        members = [rating for _, rating in group]
        first, last = members[0], members[-1]
        iou = sum(rating.iou for rating in members) / len(members)
        yield Stretch(first.frame, last.frame, first.origin, first.present, iou)


def _kind(rating: Rating) -> tuple[str, bool, int]:
    return rating.origin, rating.present, round(rating.iou * STEPS) if rating.present else 0
