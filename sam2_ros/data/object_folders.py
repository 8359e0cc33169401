"""Masks in a folder for each object, as in SA-V's val and test sets: <clip>/<object>/00000.png.

Masks may overlap. All non-zero pixels belong to the object, unless the masks have soft edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from sam2_ros.data.clips import ClipError
from sam2_ros.data.label_values import HINT, LabelValues, decide
from sam2_ros.data.labels import VOID, distinct, label_files, read_labels

_VALUES: dict[tuple[Path, int, str | None], LabelValues | None] = {}
"""Cached values by folder, time of its last change, and `mask_values`. None: no soft masks."""


@dataclass(frozen=True)
class ObjectFolder:
    """The masks of one object.

    Args:
        folder: folder of the files.
        files: files by index of their frame.
        mask_values: as in `label_values.decide`.
    """

    folder: Path
    files: Mapping[int, Path]
    mask_values: str | None = None

    def mask(self, frame: int, size: tuple[int, int]) -> np.ndarray | None:
        """The mask of a frame, bool [H, W], of an expected size; None: no file. Raises ClipError."""
        if frame not in self.files:
            return None
        image = read_labels(self.files[frame], size, frame)
        values = [value for value in distinct(image.colours if image.coloured else image.values) if value]
        plain = image.palette is not None or set(values) <= {VOID}
        soft = None if plain and self.mask_values != "binary" else self._soft(size)
        if soft is not None:
            return soft.masks(image)[0]
        if len(values) > 1 and self.mask_values != "labels":
            shown = ", ".join(f"#{value:06x}" if image.coloured else str(value) for value in values[:5])
            raise ClipError(self.files[frame], f"holds more than one object (labels {shown}); {HINT}", frame)
        return image.values > 0

    @cached_property
    def _changed(self) -> int:
        return max(file.stat().st_mtime_ns for file in self.files.values())

    def _soft(self, size: tuple[int, int]) -> LabelValues | None:
        """The threshold of a soft mask, if all files of the folder are evidence of one."""
        key = self.folder, self._changed, self.mask_values
        if key not in _VALUES:
            readable = {frame: file for frame, file in self.files.items() if _is_readable(file, size)}
            try:
                values = decide(self.folder, readable, size, self.mask_values, data_set=self.folder.parent.parent)
            except ClipError:  # not soft masks; `mask` has a better message
                values = None
            _VALUES[key] = values if values is not None and values.threshold is not None else None
        return _VALUES[key]


def _is_readable(file: Path, size: tuple[int, int]) -> bool:
    """Whether a file can be decoded; damage is reported when its frame is read."""
    try:
        read_labels(file, size)
    except ClipError:
        return False
    return True


@dataclass(frozen=True)
class ObjectFolders:
    """Folders of all objects of a clip. Also writes masks in the same format.

    Args:
        root: the clip's folder; None: none exists.
        names: names of folders by object ID.
    """

    root: Path | None
    names: Mapping[int, str]

    def write(self, folder: Path, stem: str, object_ids: Sequence[int], masks: np.ndarray) -> None:
        """Write masks, bool [N, H, W], as <folder>/<object>/<stem>.png. Raises OSError."""
        for object_id, mask in zip(object_ids, masks, strict=True):
            name = self.names.get(object_id, f"{object_id - 1:03d}")
            self._values(name, mask.shape).write(folder / name, stem, (1,), mask[None])

    def _values(self, name: str, size: tuple[int, int]) -> LabelValues:
        """The format of an object's files."""
        key = self.root, name
        if key not in _FORMATS:
            values = LabelValues((1,), (1,))
            if self.root is not None and (files := label_files(self.root / name)):
                with suppress(ClipError):
                    values = decide(self.root / name, dict(enumerate(files.values())), size, "labels")
            _FORMATS[key] = replace(values, object_ids=(1,), values=values.values[:1] or (1,))
        return _FORMATS[key]


_FORMATS: dict[tuple[Path | None, str], LabelValues] = {}
