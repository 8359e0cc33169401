"""Segmented pictures as one COCO JSON, written while they come: any number of them takes no memory."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from sam2_ros.data.replaced import partial

UNLABELLED = "object"
"""Category of objects without a label."""


class CocoWriter:
    """Writes images and their masks, in the context of `with`. The file appears under its name when all are written.

    Whatever ends the context, what was added until then is complete, but for errors of the disk.

    Args:
        file: the JSON.
        folder: what the names of images are relative to, which the file's "info" then says.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, file: Path, folder: Path | None = None) -> None:
        self.file, self.folder = file, folder
        self.annotations = 0
        """How many there are so far."""
        self._images: list[dict[str, Any]] = []
        self._categories: dict[str, int] = {}
        self._part: IO[str] | None = None

    def __enter__(self) -> CocoWriter:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._part = partial(self.file).open("w")
        info = {"description": "sam2_ros", **({"image_folder": str(self.folder)} if self.folder else {})}
        self._write('{"info": ' + json.dumps(info) + ',\n"annotations": [')
        return self

    def add(self, file_name: str, height: int, width: int, annotations: Sequence[dict[str, Any]]) -> None:
        """Add an image and its annotations.

        Args:
            file_name: of the image, relative to the folder.
            annotations: what they hold besides their IDs; "category" is a name, `UNLABELLED` if missing.

        Raises:
            OSError: the disk is full.
        """
        self._images.append({"id": len(self._images) + 1, "file_name": file_name, "height": height, "width": width})
        for annotation in annotations:
            rest = {key: value for key, value in annotation.items() if key != "category"}
            name = annotation.get("category") or UNLABELLED
            category = self._categories.setdefault(name, len(self._categories) + 1)
            self.annotations += 1
            ids = {"id": self.annotations, "image_id": len(self._images), "category_id": category}
            self._write((",\n" if self.annotations > 1 else "\n") + json.dumps({**ids, **rest}))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._part is not None
        named = self._categories or {UNLABELLED: 1}
        categories = [{"id": value, "name": name, "supercategory": ""} for name, value in named.items()]
        try:
            with self._part:
                self._write('\n],\n"images": ' + json.dumps(self._images))
                self._write(',\n"categories": ' + json.dumps(categories) + "}\n")
                self._part.flush()
                os.fsync(self._part.fileno())
            os.replace(partial(self.file), self.file)
        except OSError:  # a full disk: an earlier file stays
            partial(self.file).unlink(missing_ok=True)
            if error is None:
                raise

    def _write(self, text: str) -> None:
        assert self._part is not None
        self._part.write(text)
