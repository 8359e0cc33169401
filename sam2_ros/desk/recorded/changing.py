"""What pages change in a project without the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from sam2_ros.annotation.project import NO_OBJECT, VERDICTS, Project
from sam2_ros.desk import requests
from sam2_ros.desk.event import Event
from sam2_ros.desk.recorded import wire
from sam2_ros.desk.recorded.asked import Asked
from sam2_ros.desk.refusal import Refusal


def remove_mask(project: Project, asked: Asked) -> Event:
    project.remove_mask(asked.by, asked.object_id(), asked.frame(), asked.seen(), asked.seconds())
    return {}


def describe(project: Project, asked: Asked) -> Event:
    """Another label, or other attributes; what is left out stays."""
    label = asked.text("label") if asked.has("label") else None
    project.describe(asked.by, asked.object_id(), label, asked.attributes(), asked.seen(), asked.seconds())
    return {}


def judge(project: Project, asked: Asked) -> Event:
    """A verdict. Nobody verifies their own work, but everybody may say that their own is no object."""
    verdict = requests.choice(asked.request, "verdict", tuple(VERDICTS))
    own = requests.flag(asked.request, "own", False) and verdict == NO_OBJECT
    reason, seen, seconds = asked.text("reason"), asked.seen(), asked.seconds()
    project.judge(asked.by, asked.object_id(), verdict, reason, seen, seconds, own)
    return {}


def reverse(project: Project, asked: Asked, again: bool) -> Event:
    """Undo, or do again, what this annotator did last."""
    action = (project.redo if again else project.undo)(asked.by, asked.seconds())
    if action is None:
        raise Refusal("there is nothing to do again" if again else "there is nothing to undo")
    if action.undoes is not None:  # an undoing that was undone: what it had undone is there again
        action = next(project.actions(action.undoes - 1))
    return {"what": wire.described(action), "object_id": action.object_id, "frame": action.frame}


CHANGING: Mapping[str, Callable[[Project, Asked], Event]] = {
    "remove_mask": remove_mask,
    "describe": describe,
    "judge": judge,
    "undo": partial(reverse, again=False),
    "redo": partial(reverse, again=True),
}
"""By the type of request."""
