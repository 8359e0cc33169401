"""What pages want to know of a project."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sam2_ros.annotation.least_sure import least_sure
from sam2_ros.annotation.project import Project
from sam2_ros.annotation.timeline import timeline
from sam2_ros.annotation.verification import queue
from sam2_ros.desk import requests
from sam2_ros.desk.event import Event
from sam2_ros.desk.recorded import wire
from sam2_ros.desk.recorded.asked import Asked

MOST_FRAMES = 256
"""Of which masks are asked for at once."""


def masks(project: Project, asked: Asked) -> Event:
    """All masks of some frames, with the last action that is in them."""
    first = asked.frame("first")
    last = requests.whole(asked.request, "last", first, min(asked.span[-1], first + MOST_FRAMES - 1))
    found = {}
    with project.snapshot():
        for frame in range(first, last + 1):
            if on_frame := project.masks_on(frame):
                prompts = project.prompts_on(frame)
                found[str(frame)] = [wire.mask_to_wire(mask, prompts.get(mask.object_id)) for mask in on_frame]
        return {"masks": found, "last_action": project.last_action}


def runs(project: Project, asked: Asked) -> Event:
    """The timelines of objects."""
    return {"objects": wire.timeline_to_wire(timeline(project, asked.object_ids()))}


def unsure(project: Project, asked: Asked) -> Event:
    """Where to look next."""
    object_id = asked.object_id() if asked.has("object_id") else None
    place = least_sure(project, object_id, asked.frame("after") if asked.has("after") else None)
    return {"frame": None} if place is None else place._asdict()


def waiting(project: Project, asked: Asked) -> Event:
    """What waits for this annotator's verdict."""
    return {"waiting": wire.waiting_to_wire(queue(project, asked.by))}


def labels(project: Project, asked: Asked) -> Event:
    """Those that were used."""
    return {"labels": sorted({one.label for one in project.objects() if one.label})}


READING: Mapping[str, Callable[[Project, Asked], Event]] = {
    "masks": masks,
    "timeline": runs,
    "unsure": unsure,
    "queue": waiting,
    "labels": labels,
}
"""By the type of request."""
