"""Photographs with masks of the things in them: still images of a data set, to learn from or to judge by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.data.formats import open_clips

HELD_OUT = 7
"""One in this many photographs is held out to judge by, and never learnt from."""
MIN_PIXELS = 60
"""Area of the smallest thing that is cut out of its photograph, pixels."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph, and its things. What is in no mask may be anything, more things of the same kind included."""

    name: str
    image: np.ndarray
    """uint8 [H, W, 3] RGB."""
    label: np.ndarray
    """The thing in each pixel: uint8 [H, W], 1 .. N; 0: none that has a mask."""

    @classmethod
    def of(cls, clip: Clip) -> Photograph:
        """A clip of one frame. Where masks overlap, the smaller one is in front."""
        (image,), (masks,) = clip.frames, clip.masks
        label = np.zeros(image.shape[:2], np.uint8)
        for number, mask in enumerate(sorted(() if masks is None else masks, key=np.sum, reverse=True)[:255], 1):
            label[mask] = number
        return cls(clip.name, image, label)

    @cached_property
    def boxes(self) -> dict[int, tuple[int, int, int, int]]:
        """The bounding box of each thing that is visible: x, y, width, height, pixels."""
        numbers = (1 + np.flatnonzero(np.bincount(self.label.ravel(), minlength=256)[1:])).tolist()
        return {number: cv2.boundingRect((self.label == number).view(np.uint8)) for number in numbers}  # type: ignore[misc]

    @cached_property
    def whole(self) -> list[int]:
        """The things that can be cut out: large enough, and not cut off by an edge of the photograph."""
        height, width = self.label.shape
        inside = [n for n, (x, y, w, h) in self.boxes.items() if min(x, y) > 0 and x + w < width and y + h < height]
        return [n for n in inside if np.count_nonzero(self.label == n) >= MIN_PIXELS]


class Photographs(Sequence[Photograph]):
    """Photographs, decoded on access and kept.

    Args:
        clips: of one frame each.
    """

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._clips = clips
        self._decoded: dict[int, Photograph] = {}

    @classmethod
    def open(cls, folder: str | Path, held_out: bool = False) -> Photographs:
        """The stills of a data set, in any layout that `open_clips` reads: those to learn from, or those held out.

        Clips of several frames are left out.

        Raises:
            ClipError: there are none, or the layout is unknown.
        """
        stills = {clip.name: clip for clip in open_clips(folder) if len(clip) == 1}
        judging = names_held_out(stills)
        chosen = [clip for name, clip in stills.items() if (name in judging) == held_out]
        if not chosen:
            raise ClipError(folder, f"has {len(stills)} still images with masks, too few")
        return cls(chosen)

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: Any) -> Any:  # int -> Photograph
        if index not in self._decoded:
            self._decoded[index] = Photograph.of(self._clips[index])
        return self._decoded[index]


def names_held_out(names: Iterable[str]) -> set[str]:
    """One in `HELD_OUT` of these names: those with the smallest hashes, so that nobody chooses."""
    ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    return set(ranked[: len(ranked) // HELD_OUT])
