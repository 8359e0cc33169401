"""Folders of images as recordings."""

import numpy as np
import pytest
from PIL import Image

from sam2_ros.data.clips import ClipError
from sam2_ros.recordings.folder_recording import FolderRecording


def write(folder, count, **sizes):
    """Images whose pixels are their numbers, `frame_2` after `frame_10` by characters."""
    folder.mkdir()
    for number in range(count):
        height, width = sizes.get(f"_{number}", (6, 8))
        Image.fromarray(np.full((height, width, 3), number, np.uint8)).save(folder / f"frame_{number}.png")
    return folder


def test_images_in_both_directions(tmp_path):
    """In natural order; sizes may change."""
    folder = write(tmp_path / "walk", 12, _3=(10, 4))
    (folder / "notes.txt").write_text("no image")
    recording = FolderRecording(folder)
    images = list(recording.images())
    assert [(image.index, int(image.pixels.mean())) for image in images] == [(number, number) for number in range(12)]
    assert images[3].pixels.shape == (10, 4, 3) and images[4].pixels.shape == (6, 8, 3)
    assert recording.name == "walk" and recording.fps == 24 and recording.stamps[1] == 1_041_666_667
    assert [image.index for image in recording.images_backwards(11)] == list(range(11, -1, -1))
    for image, other in zip(recording.images_backwards(11), images[::-1], strict=True):
        np.testing.assert_array_equal(image.pixels, other.pixels)
    assert FolderRecording(folder, fps=10).stamps[1] == 1_100_000_000


def test_damaged_files_are_left_out_and_named(tmp_path):
    folder = write(tmp_path / "walk", 5)
    half = (folder / "frame_2.png").read_bytes()[:50]
    (folder / "frame_2.png").write_bytes(half)
    recording = FolderRecording(folder)
    (folder / "frame_4.png").write_text("no image")
    for images in (recording.images(), recording.images_backwards(4)):
        assert sorted(image.index for image in images) == [0, 1, 3]
    assert recording.damaged.keys() == {2, 4}
    assert recording.damaged[2].startswith("frame_2.png cannot be decoded")
    assert recording.damaged[4].startswith("frame_4.png cannot be decoded")


def test_files_that_go_away_are_not_taken_for_damaged(tmp_path):
    folder = write(tmp_path / "walk", 12)
    recording = FolderRecording(folder)
    images = recording.images()
    assert next(images).index == 0
    for file in recording.files:
        file.unlink()
    with pytest.raises(ClipError, match=r"frame_\d+.png: is gone, .* start the same command again"):
        list(images)
    assert not recording.damaged


def test_without_images(tmp_path):
    with pytest.raises(ClipError, match="contains no images"):
        FolderRecording(tmp_path)


def test_fingerprint_is_of_the_content(tmp_path):
    prints = [FolderRecording(write(tmp_path / name, 5)).fingerprint() for name in ("a", "b")]
    assert prints[0] == prints[1] != FolderRecording(write(tmp_path / "c", 5, _2=(9, 9))).fingerprint()
    Image.fromarray(np.full((6, 8, 3), 7, np.uint8)).save(tmp_path / "b/frame_3.png")
    assert FolderRecording(tmp_path / "b").fingerprint() != prints[0]
