"""Image files as the frames of a clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sam2_ros.data.clips import ClipError
from sam2_ros.data.images import image_files, image_size, read_image


class ImageFiles(Sequence[np.ndarray]):
    """Image files as frames, decoded lazily: uint8 [H, W, 3] RGB, all of the same size.

    Access raises ClipError if a file is missing, damaged, or of another size than the first one.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self._size: tuple[int, int] | None = None

    @classmethod
    def of(cls, folder: str | Path) -> ImageFiles:
        """All images of a folder in natural order. Raises ClipError if there are none."""
        return cls(image_files(Path(folder)))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: Any) -> Any:  # int -> frame, slice -> ImageFiles
        if isinstance(index, slice):
            return ImageFiles(self.files[index])
        index = range(len(self.files))[index]
        image = read_image(self.files[index], index)
        self._size = self._size or image_size(self.files[0], 0)
        if image.shape[:2] != self._size:
            height, width = self._size
            problem = f"is {image.shape[1]} x {image.shape[0]} pixels, but the first frame is {width} x {height}"
            raise ClipError(self.files[index], problem, index)
        return image

    def __iter__(self) -> Iterator[np.ndarray]:  # Sequence's own would end at an IndexError in decoding
        return (self[index] for index in range(len(self)))
