"""Film strips of masklets, as pages show them."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from sam2_ros.annotation.film_strip import DARK, LIGHT, film_strip
from sam2_ros.annotation.project import Project
from sam2_ros.data.jpeg import encode_jpeg
from sam2_ros.desk.recorded.pictures import QUALITY
from sam2_ros.desk.recorded.worker import Worker
from sam2_ros.recordings.recording import Recording

KEPT = 64
"""Film strips, of 0.2 MB each."""


class Strips:
    """Draws film strips in a thread of its own, and keeps the newest as JPEG.

    Args:
        folder: of the project.
        recording: that of the project.
    """

    def __init__(self, folder: Path, recording: Recording) -> None:
        self._worker = Worker("strips", folder)
        self._recording = recording
        self._kept: OrderedDict[tuple[int, str, bool], bytes] = OrderedDict()

    async def stop(self) -> None:
        await self._worker.stop()

    async def jpeg(self, object_id: int, version: str, dark: bool = False) -> bytes:
        """The film strip of an object.

        Args:
            version: the strips of one version are the same, or newer ones; empty: it is drawn anew.
            dark: for a dark page.

        Raises:
            ProjectError: there is no such object, or it has no masks.
            ClipError: the recording cannot be read.
        """
        return await self._worker.do(lambda project: self._strip(project, object_id, version, dark))

    def _strip(self, project: Project, object_id: int, version: str, dark: bool) -> bytes:
        key = object_id, version, dark
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return kept
        strip = film_strip(project, self._recording, object_id, paper=DARK if dark else LIGHT)
        jpeg = encode_jpeg(strip, QUALITY)
        if version:
            self._kept[key] = jpeg
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return jpeg
