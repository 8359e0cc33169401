"""Pieces of work: a recording, a stretch of one, or a clip of a data set; and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

from sam2_ros.recordings.recording import Recording

State = Literal["done", "unchanged", "damaged", "failed"]
"""done; unchanged: all of it was complete already; damaged: done, but images were skipped; failed."""

Report = Callable[[int, int], None]
"""Called with the number of images that are done, of those of all passes, and their number."""


@dataclass(frozen=True)
class Piece:
    """One piece: what a worker does without another, and does again if the worker is killed."""

    name: str
    """Also the folder of its results."""
    path: Path
    images: int
    """Number of images; 0: not known yet."""
    start: int | None = None
    """Index of the first image; None: all."""
    stop: int | None = None
    """Index after the last one."""
    clip: str = ""
    """Of a data set."""


@dataclass(frozen=True)
class Outcome:
    """What became of a piece."""

    piece: Piece
    state: State
    reason: str = ""
    """Why it failed, or which images are damaged."""
    objects: int = 0
    seconds: float = 0.0
    """That the worker took, the last one if others were killed before."""
    starts: int = 1
    """1, and one more for each worker that was killed."""
    scores: object = field(default=None, repr=False)
    """Of an evaluated clip."""


def stretches(recording: Recording, name: str, seconds: float | None) -> list[Piece]:
    """A recording as pieces: stretches of about this length, all with nearly the same number of images.

    Args:
        name: of the recording. Each stretch has a folder in it, `000000-000299` by its first and last image.
        seconds: None: the whole recording.
    """
    images = len(recording)
    count = 1 if seconds is None else max(1, min(images, round(images / recording.fps / seconds)))
    if count == 1:
        return [Piece(name, recording.path, images)]
    bounds = [number * images // count for number in range(count + 1)]
    return [
        Piece(f"{name}/{start:06}-{stop - 1:06}", recording.path, stop - start, start, stop)
        for start, stop in pairwise(bounds)
    ]
