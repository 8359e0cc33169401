"""A folder of images as a recording."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from sam2_ros.data.clips import ClipError
from sam2_ros.data.images import image_files, read_image
from sam2_ros.recordings.recording import DamagedImage, RecordedImage, Recording, content_hash, regular_stamps

DEFAULT_FPS = 24.0


class FolderRecording(Recording):
    """The images of a folder in natural order (`frame_2` before `frame_10`); their sizes may differ.

    Args:
        path: the folder.
        fps: images per second; None: 24.

    Raises:
        ClipError: there are no images in the folder.
    """

    files: tuple[Path, ...]
    """One for each image."""

    def __init__(self, path: Path, fps: float | None = None) -> None:
        self.files = tuple(image_files(path))
        fps = fps or DEFAULT_FPS
        super().__init__(path, regular_stamps(len(self.files), fps), fps)

    def _read(self, indices: range) -> Generator[RecordedImage | DamagedImage | None, None, None]:
        for index in indices:
            try:
                yield RecordedImage(index, self.stamps[index], read_image(self.files[index]))
            except ClipError as error:
                yield DamagedImage(index, f"{self.files[index].name} {error.problem}")

    def _file(self, index: int) -> Path:
        return self.files[index]

    def _content(self) -> str:
        return content_hash("folder", self.stamps, self.files)
