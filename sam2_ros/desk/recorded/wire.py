"""What is in a project, as pages get it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sam2_ros.annotation.action import Action
from sam2_ros.annotation.annotated_mask import AnnotatedMask
from sam2_ros.annotation.annotated_object import AnnotatedObject, Extent
from sam2_ros.annotation.project import Project
from sam2_ros.annotation.timeline import Stretch
from sam2_ros.annotation.verification import Unverified
from sam2_ros.desk.event import Event
from sam2_ros.desk.wire_mask import counts_to_wire, to_wire
from sam2_ros.recordings.outputs.messages import box
from sam2_ros.tracking.image_predictor import Candidates
from sam2_ros.tracking.masklet import BOX_MIN_PART, Masklet
from sam2_ros.tracking.prompt import Prompt

ABSENT = Extent(0, 0, 0, 0.0, 0)
"""Of an object without masks."""


def mask_to_wire(mask: AnnotatedMask, prompt: Prompt | None = None) -> Event:
    """A mask, and where was pointed on its frame."""
    return {
        "object_id": mask.object_id,
        "frame": mask.frame,
        "origin": mask.origin,
        "phase": mask.phase,
        "present": mask.present,
        "presence": mask.presence,
        "iou": mask.iou,
        "box": list(map(int, box(mask.counts, mask.height) if mask.present else (0, 0, 0, 0))),
        "mask": counts_to_wire(mask.height, mask.width, mask.counts),
        "author": mask.author,
        "action_id": mask.action_id,
        "prompt": None if prompt is None else _prompt_to_wire(prompt),
    }


def candidates_to_wire(candidates: Candidates) -> list[Event]:
    """Masks that are not stored, the best first."""
    return [
        {"iou": float(iou), "box": list(map(int, _box(mask))), "mask": to_wire(mask)}
        for mask, iou in zip(candidates.masks, candidates.iou, strict=True)
    ]


def object_to_wire(one: AnnotatedObject, extent: Extent | None) -> Event:
    """An object, and on how many frames it is known. `action_id`: the action that changed it, or a mask of it, last."""
    known = extent or ABSENT
    return {
        "object_id": one.object_id,
        "label": one.label,
        "attributes": dict(one.attributes),
        "state": one.state,
        "reason": one.reason,
        "author": one.author,
        "masks": known.known,
        "annotated": known.annotated,
        "present": known.visible,
        "iou": known.iou,
        "action_id": max(one.action_id, known.action_id),
    }


def project_to_wire(project: Project, names: Iterable[str]) -> tuple[Event, dict[str, Event]]:
    """The event about everything in a project, and what it says beside that to each of these annotators."""
    with project.snapshot():
        extents = project.extents()
        everything: Event = {
            "type": "project",
            "last_action": project.last_action,
            "objects": [object_to_wire(one, extents.get(one.object_id)) for one in project.objects()],
            "annotators": project.annotators(),
        }
        return everything, {name: _reversible(project, name) for name in names}


def waiting_to_wire(waiting: Iterable[Unverified]) -> list[Event]:
    return [object_to_wire(one.object, one.extent) for one in waiting]


def timeline_to_wire(stretches: dict[int, list[Stretch]]) -> Event:
    return {
        str(object_id): [[one.first, one.last, one.origin, one.present, round(one.iou, 3)] for one in known]
        for object_id, known in stretches.items()
    }


def described(action: Action) -> str:
    """An action in words, for the person who has undone it."""
    where = "" if action.object_id is None else f" of object {action.object_id}"
    where += "" if action.frame is None else f" on frame {action.frame}"
    return f"{action.kind}{where}"


def _reversible(project: Project, name: str) -> Event:
    undoable, redoable = project.reversible(name)
    return {"can_undo": undoable is not None, "can_redo": redoable is not None}


def _prompt_to_wire(prompt: Prompt) -> Event:
    clicks = [{"x": click.x, "y": click.y, "positive": click.positive} for click in prompt.clicks]
    return {"clicks": clicks, "box": None if prompt.box is None else list(prompt.box)}


def _box(mask: np.ndarray) -> tuple[float, ...]:
    return Masklet(0, "", True, 1.0, 1.0, mask, BOX_MIN_PART).box
