"""The masklets of a project, in the form in which outputs get those of a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from sam2_ros.annotation.annotated_mask import AnnotatedMask
from sam2_ros.annotation.annotated_object import VERIFIED, AnnotatedObject
from sam2_ros.annotation.project import Project
from sam2_ros.recordings.masklet_store import StoredFrame, StoredMask
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.recordings.recording import Recording


class ProjectMasklets:
    """The masks of some objects of a project (`recordings.outputs.finished_run.Masklets`).

    Masks of verified objects count as true: their presence and IoU are 1 or 0, not those that a network predicted.
    Images without any mask are decoded once, to see which of them can be, and of what size they are.

    Args:
        project: is read whenever something is asked for; see `Project.snapshot`.
        recording: that of the project.
        objects: those that are meant; those without masks are left out.
        on_image: called after each image that is decoded.

    Raises:
        ClipError: the recording is damaged.
    """

    def __init__(
        self,
        project: Project,
        recording: Recording,
        objects: Sequence[AnnotatedObject],
        on_image: Callable[[], None] = lambda: None,
    ) -> None:
        self._project, self._recording = project, recording
        objects = [one for one in objects if has_masks(project, one)]
        self._verified = {one.object_id: one.state == VERIFIED for one in objects}
        self.labels = {one.object_id: one.label for one in objects}
        self.first_frames: dict[int, int] = {}
        self.attributes = {
            one.object_id: {**one.attributes, **({} if one.state == VERIFIED else {"verified": False})}
            for one in objects
        }
        """Those of each object, and that it is not verified, if it is not."""
        content = hashlib.sha256(json.dumps([self.labels, self.attributes, project.fingerprint]).encode())
        places: list[tuple[int, int]] = []
        sizes: dict[int, tuple[int, int]] = {}
        for column, object_id in enumerate(self.labels):
            for mask in project.masks_of(object_id):
                self.first_frames.setdefault(object_id, mask.frame)
                places.append((mask.frame, column))
                sizes[mask.frame] = mask.height, mask.width
                content.update(repr((object_id, mask.frame, mask.present, mask.presence, mask.iou)).encode())
                content.update(mask.counts.tobytes())
        self._prompts = {object_id: project.prompts_of(object_id) for object_id in self.labels}
        for scheduled in self.prompts:
            prompt = scheduled.prompt
            content.update(repr((scheduled.frame, prompt.object_id, prompt.clicks, prompt.box)).encode())
            content.update(b"" if prompt.mask is None else np.packbits(prompt.mask).tobytes())
        self.content = content.hexdigest()
        """A hash of everything that is exported of the project."""
        if not all(frame in sizes for frame in recording.span):
            for image in recording.images():
                sizes.setdefault(image.index, (image.pixels.shape[0], image.pixels.shape[1]))
                on_image()
        self._sizes = {
            frame: sizes[frame] for frame in recording.span if frame in sizes and frame not in recording.damaged
        }
        rows = {frame: row for row, frame in enumerate(self._sizes)}
        self.known = np.zeros((len(rows), len(self.labels)), bool)
        """Whether the mask of each object is known on each image: bool [T, N]."""
        for frame, column in places:
            if frame in rows:
                self.known[rows[frame], column] = True

    @property
    def all_verified(self) -> bool:
        return all(self._verified.values())

    @property
    def prompts(self) -> list[ScheduledPrompt]:
        """All clicks, boxes and drawn masks, by frame and object. Masks without pixels are no prompts."""
        every = [
            replace(scheduled, prompt=replace(scheduled.prompt, label=self.labels[object_id]))
            for object_id, prompts in self._prompts.items()
            for scheduled in prompts
            if (prompt := scheduled.prompt).clicks
            or prompt.box is not None
            or (prompt.mask is not None and prompt.mask.any())
        ]
        return sorted(every, key=lambda scheduled: scheduled.frame)

    @property
    def frame_count(self) -> int:
        return len(self._sizes)

    @property
    def frame_numbers(self) -> list[int]:
        """Indices of all images that can be decoded, ascending."""
        return list(self._sizes)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The different heights and widths of images, ascending."""
        return sorted(set(self._sizes.values()))

    def frame(self, frame: int) -> StoredFrame | None:
        """One frame; None: there is no such image."""
        if frame not in self._sizes:
            return None
        masks = [self._stored(mask) for mask in self._project.masks_on(frame) if mask.object_id in self.labels]
        return StoredFrame(frame, self._recording.stamps[frame], *self._sizes[frame], tuple(masks))

    def frames(self) -> Iterator[StoredFrame]:
        """All frames in order."""
        for frame in self._sizes:
            stored = self.frame(frame)
            assert stored is not None
            yield stored

    def _stored(self, mask: AnnotatedMask) -> StoredMask:
        numbers = mask.presence, mask.iou
        if self._verified[mask.object_id]:
            numbers = float(mask.present), float(mask.present)
        return StoredMask(mask.frame, mask.object_id, mask.present, *numbers, mask.counts)


def has_masks(project: Project, one: AnnotatedObject) -> bool:
    """Whether there is more of an object than its name."""
    return next(project.masks_of(one.object_id), None) is not None
