"""A video clip with the masks of its objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np


class MaskFiles(Protocol):
    """The format of a clip's mask files, in which a tracker's masks can be written, too."""

    def write(self, folder: Path, stem: str, object_ids: Sequence[int], masks: np.ndarray) -> None:
        """Write the masks of objects on one frame, bool [N, H, W], into a clip's folder.

        Args:
            folder: the clip's folder.
            stem: name of the frame without suffix.
            object_ids: N IDs.
            masks: the masks.

        Raises:
            ValueError: an ID does not fit the format.
            OSError: a file cannot be written.
        """
        ...


@dataclass(frozen=True)
class Clip:
    """T frames of H x W pixels in which N objects are followed.

    An object that is not visible on a frame (absent, hidden, outside the image) has an empty mask there. So has
    one with an unknown mask.
    """

    name: str
    frames: Sequence[np.ndarray]
    """T images, uint8 [H, W, 3] RGB; may be decoded lazily."""
    object_ids: tuple[int, ...]
    """N IDs, ascending, > 0."""
    masks: Sequence[np.ndarray | None]
    """T entries: bool [N, H, W] in the order of `object_ids`, or None if not annotated."""
    fps: float = 24.0
    known: np.ndarray | None = None
    """Whether each mask of an annotated frame is known: bool [T, N]. None: all are."""
    mask_files: MaskFiles | None = None
    """Format of the clip's mask files; None: it has none."""
    ious: Sequence[np.ndarray] | None = None
    """Predicted IoU of each mask with the truth, 0 .. 1: T entries, float [N]. None: the masks were not predicted."""
    labels: Mapping[int, str] | None = None
    """Labels of objects, by ID; None: they have none."""
    attributes: Mapping[int, Mapping[str, Any]] | None = None
    """What else is known of objects, by ID and name, as JSON can hold it; None: nothing."""

    def __post_init__(self) -> None:
        if len(self.frames) != len(self.masks):
            raise ValueError(f"clip {self.name!r}: {len(self.frames)} frames but {len(self.masks)} entries of masks")
        if list(self.object_ids) != sorted(set(self.object_ids)) or any(i <= 0 for i in self.object_ids):
            raise ValueError(f"clip {self.name!r}: object IDs must be positive and ascending, got {self.object_ids}")
        if self.known is not None and self.known.shape != (len(self.frames), len(self.object_ids)):
            raise ValueError(f"clip {self.name!r}: `known` must be [frames, objects], got {self.known.shape}")
        if self.ious is not None and len(self.ious) != len(self.frames):
            raise ValueError(f"clip {self.name!r}: {len(self.frames)} frames but {len(self.ious)} entries of `ious`")
        if not self.fps > 0:
            raise ValueError(f"clip {self.name!r}: the frame rate must be positive, got {self.fps}")

    def __len__(self) -> int:
        return len(self.frames)

    def is_complete(self, frame: int) -> bool:
        """Whether the masks of all objects are known on a frame, if it is annotated.

        Formats that cannot say that a mask is unknown take only such frames for annotated.
        """
        return self.known is None or bool(self.known[frame].all())
