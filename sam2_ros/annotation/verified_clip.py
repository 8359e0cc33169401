"""The verified masklets of a project as a clip, to learn from and to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sam2_ros.annotation.annotated_mask import AnnotatedMask
from sam2_ros.annotation.annotated_object import VERIFIED
from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Lazy
from sam2_ros.recordings.recording import Recording

BLOCK = 8
"""Images that are read together: neighbours are asked for next, and opening a recording takes time."""


@dataclass(frozen=True, eq=False)
class VerifiedClip:
    """The verified masklets of a project, or of a part of its recording."""

    clip: Clip
    visible: np.ndarray
    """Whether each object is visible on each frame: bool [T, N]."""
    known: np.ndarray
    """Whether its mask is known: bool [T, N]."""

    @property
    def longest(self) -> int:
        """The most frames on which one of the objects that are ever visible is known."""
        return int(self.known[:, self.visible.any(axis=0)].sum(axis=0).max(initial=0))

    @property
    def scorable(self) -> bool:
        """Whether an object is known on a frame after the first on which it is visible, and not on the last alone."""
        last = int(np.flatnonzero(self.known.any(axis=1))[-1])
        return any(
            bool(self.known[int(np.argmax(seen)) + 1 : last, row].any())
            for row, seen in enumerate(self.visible.T)
            if seen.any()
        )


def verified_clip(project: Project, recording: Recording, span: range | None = None) -> VerifiedClip:
    """The verified masklets of a project. Images are read lazily; masks stay as they are now.

    The clip begins at the first image with a verified mask, and ends at the last. An object's mask is unknown on images
    on which it has none; an image without any is not annotated.

    Args:
        recording: that of the project.
        span: frames of the recording that are taken; None: all.

    Raises:
        ProjectError: there are no verified masklets in it.
    """
    objects = {one.object_id: one.label for one in project.objects(VERIFIED)}
    if not objects:
        raise ProjectError(f"{project.folder} has no verified masklets; verify some first, only these are learnt from")
    of_frame: dict[int, dict[int, AnnotatedMask]] = {}
    for object_id in objects:
        for mask in project.masks_of(object_id):
            if span is None or mask.frame in span:
                of_frame.setdefault(mask.frame, {})[object_id] = mask
    object_ids = tuple(sorted({object_id for masks in of_frame.values() for object_id in masks}))
    if not of_frame:
        raise ProjectError(f"the verified objects of {project.folder} have no masks on the frames that are asked for")
    frames = range(min(of_frame), max(of_frame) + 1)
    known = np.zeros((len(frames), len(object_ids)), bool)
    visible = known.copy()
    for frame, here in of_frame.items():
        for object_id, mask in here.items():
            place = frame - frames.start, object_ids.index(object_id)
            known[place], visible[place] = True, mask.present and len(mask.counts) > 1

    def masks(place: int) -> np.ndarray | None:
        here = of_frame.get(frames[place])
        if here is None:
            return None
        first = next(iter(here.values()))
        rows = np.zeros((len(object_ids), first.height, first.width), bool)
        for object_id, mask in here.items():
            if mask.present:
                rows[object_ids.index(object_id)] = mask.mask
        return rows

    clip = Clip(
        project.folder.name,
        _Images(recording, frames, frozenset(of_frame)),
        object_ids,
        Lazy(len(frames), masks),
        recording.fps,
        known,
        labels={object_id: objects[object_id] for object_id in object_ids},
    )
    return VerifiedClip(clip, visible, known)


class Opened(Sequence[Clip]):
    """Clips of projects, each on access with images of its own: what it has read is forgotten with it."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._clips = clips

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: Any) -> Any:  # int -> Clip, slice -> Opened
        if isinstance(index, slice):
            return Opened(self._clips[index])
        clip = self._clips[index]
        return replace(clip, frames=clip.frames[:])


class _Images(Sequence[np.ndarray]):
    """Images of a recording, by place in a range of its frames; a few are read together, and kept.

    An image that is damaged is a repetition of the one before it in the same block, as a camera that has lost one; if
    it is annotated, or there is none, access raises ClipError.
    """

    def __init__(self, recording: Recording, frames: range, annotated: frozenset[int]) -> None:
        self._recording, self._frames, self._annotated = recording, frames, annotated
        self._block = range(0)
        self._images: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, place: Any) -> Any:  # int -> image, slice -> images
        if isinstance(place, slice):
            return _Images(self._recording, self._frames[place], self._annotated)
        frame = self._frames[place]
        if frame not in self._block:
            first = frame // BLOCK * BLOCK
            self._block = range(first, first + BLOCK)
            self._images = {image.index: image.pixels for image in self._recording.images(first, first + BLOCK)}
        if frame in self._images:
            return self._images[frame]
        before = [index for index in self._images if index < frame]
        if frame in self._annotated or not before:
            reason = self._recording.damaged.get(frame, "there is no such image")
            raise ClipError(self._recording.path, reason, frame)
        return self._images[max(before)]
