"""Verification: which masklets are to be judged by somebody else (SAM 2 paper, section 5.1, "Quality verification")."""

from __future__ import annotations

from dataclasses import dataclass

from sam2_ros.annotation.annotated_object import OPEN, PROPOSED, AnnotatedObject, Extent
from sam2_ros.annotation.project import UNSATISFACTORY, Project

COMPLETE = 0.9
"""Share of the frames annotated in phase 1 that must have a mask: damaged images never get one."""


@dataclass(frozen=True)
class Unverified:
    """A masklet that waits for a verdict."""

    object: AnnotatedObject
    extent: Extent


def queue(project: Project, by: str, complete: float = COMPLETE) -> list[Unverified]:
    """What an annotator can judge: proposals first, and of these and of the others the best first, by predicted IoU.

    Left out are masklets with work of this annotator's own, those that were found unsatisfactory and have not been
    changed since, and open ones that are not complete.

    Args:
        complete: share of `Project.annotated_frames`, 0 .. 1, on which it must be known whether an open object is
            visible. Proposals begin where they were found, and are always complete.
    """
    extents, sent_back = project.extents(), _sent_back(project)
    frames = len(project.annotated_frames)
    waiting = []
    for one in project.objects(PROPOSED, OPEN):
        extent = extents.get(one.object_id)
        if extent is None or (one.state == OPEN and extent.annotated < complete * frames):
            continue
        if sent_back.get(one.object_id, 0) > extent.action_id or by in project.authors_of(one.object_id):
            continue
        waiting.append(Unverified(one, extent))
    return sorted(waiting, key=lambda one: (one.object.state != PROPOSED, -one.extent.iou, one.object.object_id))


def _sent_back(project: Project) -> dict[int, int]:
    """The last action by which each object was found unsatisfactory, by ID."""
    return {
        action.object_id: action.action_id
        for action in project.actions()
        if action.object_id is not None
        and action.kind == "verdict"
        and action.undone_by is None
        and action.detail["verdict"] == UNSATISFACTORY
    }
