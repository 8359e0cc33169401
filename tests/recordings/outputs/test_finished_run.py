"""A finished run, as outputs get it."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from finished_runs import make_run
from small_clips import make_clip

from sam2_ros.data.clips import ClipError
from sam2_ros.recordings.folder_recording import FolderRecording


def test_pictures_are_the_images_that_were_processed(tmp_path: Path) -> None:
    run = make_run(tmp_path, make_clip(overlap=True))
    pictures = list(run.pictures())
    assert [(image.index, stored.frame) for image, stored in pictures] == [(index, index) for index in range(9)]
    assert all(image.stamp == stored.stamp for image, stored in pictures)


@pytest.mark.parametrize("index", [0, 4, 8])
def test_image_that_cannot_be_read_any_more_is_named(tmp_path: Path, index: int) -> None:
    clip, photos = make_clip(overlap=True), tmp_path / "photos"
    photos.mkdir()
    for number, image in enumerate(clip.frames):
        cv2.imwrite(str(photos / f"{number}.png"), image)
    run = make_run(tmp_path / "out", clip, FolderRecording(photos))
    (photos / f"{index}.png").write_text("no image")
    with pytest.raises(ClipError, match=rf"image {index} was tracked, but cannot be read any more \({index}.png can"):
        list(run.pictures())
