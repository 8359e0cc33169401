"""Pictures of a project: frames with their masks, and files that they are written to."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from sam2_ros.annotation.annotated_object import REJECTED
from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.annotation.project_recording import pixels_of
from sam2_ros.commands.annotation.options import PICTURES
from sam2_ros.commands.annotation.running import seconds_at
from sam2_ros.data.images import save_image
from sam2_ros.recordings.outputs.pictures import MAX_LABELS, fitted
from sam2_ros.recordings.outputs.sheet import SIDE, draw_prompt, moments
from sam2_ros.recordings.recording import Recording
from sam2_ros.tracking.contact_sheet import contact_sheet, thumbnail
from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.overlay import Overlay

LEAST_SIDE = 640
"""Width to which smaller frames are enlarged, pixels."""


def frame_picture(project: Project, recording: Recording, frame: int) -> np.ndarray:
    """A frame with the masks and prompts of all objects, uint8 [H, W, 3] RGB. Raises ProjectError: it is damaged."""
    image = pixels_of(recording, frame)
    side = max(image.shape[1], LEAST_SIDE)
    picture = thumbnail(image, _masklets(project, frame), Overlay(), side)
    _draw_prompts(picture, project, frame, side / image.shape[1])
    return picture


def sheet_picture(project: Project, recording: Recording) -> np.ndarray:
    """A dozen frames with their masks, uint8 [H, W, 3] RGB. Raises ProjectError: all are damaged."""
    objects = project.objects()
    by_hand = {prompt.frame for one in objects for prompt in project.prompts_of(one.object_id)}
    overlay, pictures, captions = Overlay(), list[np.ndarray](), list[str]()
    for image in recording.picked(moments(list(recording.span), by_hand)):
        frame, masklets = image.index, _masklets(project, image.index)
        picture = thumbnail(image.pixels, masklets, overlay, SIDE, len(masklets) <= MAX_LABELS)
        _draw_prompts(picture, project, frame, SIDE / image.pixels.shape[1])
        pictures.append(fitted(picture, pictures[0].shape[:2]) if pictures else picture)
        note = "   by hand" if frame in by_hand else ""
        captions.append(f"frame {frame}   {seconds_at(recording, frame)}{note}")
    if not pictures:
        raise ProjectError(f"no image of {recording.path} could be decoded")
    height, width = pictures[0].shape[:2]
    columns = min(len(pictures), 6 if height > width else 4)
    return contact_sheet(pictures, captions, recording.name, counted(objects_by_state(project)), columns, SIDE)


def write_picture(file: Path, picture: np.ndarray) -> None:
    """Write a picture, uint8 [H, W, 3] RGB; its suffix must be in `PICTURES`. Raises OSError."""
    quality = {} if file.suffix.lower() == ".png" else {"quality": 92}
    try:
        save_image(file, Image.fromarray(picture), PICTURES[file.suffix.lower()], **quality)
    except OSError as error:
        full = error.errno == errno.ENOSPC
        reason = "the disk is full; make room" if full else f"{error.strerror or error}; choose another place"
        raise OSError(error.errno, reason, str(file)) from error


def objects_by_state(project: Project) -> dict[str, int]:
    """How many objects there are in each state in which there are any."""
    counts: dict[str, int] = {}
    for one in project.objects():
        counts[one.state] = counts.get(one.state, 0) + 1
    return counts


def counted(states: Mapping[str, int]) -> str:
    """Such as "3 objects: 2 proposed, 1 open"."""
    total = sum(states.values())
    each = ", ".join(f"{count} {state}" for state, count in states.items())
    return f"{total} object{'s' * (total != 1)}{': ' * bool(each)}{each}"


def _masklets(project: Project, frame: int) -> list[Masklet]:
    """Those of all objects but rejected ones."""
    labels = {one.object_id: one.label for one in project.objects() if one.state != REJECTED}
    return [mask.masklet(labels[mask.object_id]) for mask in project.masks_on(frame) if mask.object_id in labels]


def _draw_prompts(picture: np.ndarray, project: Project, frame: int, scale: float) -> None:
    for one in project.objects():
        for scheduled in project.prompts_of(one.object_id):
            if scheduled.frame == frame:
                draw_prompt(picture, scheduled.prompt, scale)
