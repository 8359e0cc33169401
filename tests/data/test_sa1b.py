"""SA-1B: a JSON beside each image."""

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from small_clips import make_clip, same_frames, same_masks

from sam2_ros.data import coco, sa1b
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, DataWarning
from sam2_ros.data.formats import open_clips

STILL = make_clip("sa_2", frames=1, overlap=True)


def truth(clip: Clip, index: int = 0) -> Clip:
    """Truth of a still: without invisible objects, numbered from 1."""
    seen = np.stack([mask for mask in clip.masks[index] if mask.any()])
    return Clip("", [clip.frames[index]], tuple(range(1, len(seen) + 1)), [seen])


@pytest.mark.parametrize("folder", ["", "sa_000000", "train"])
def test_a_folder_of_images_and_json(folder, tmp_path):
    """As downloaded, in folders; overlapping masks are preserved."""
    sa1b.write([STILL, make_clip("sa_10", frames=3)], tmp_path / folder)
    (tmp_path / "readme.txt").write_text("terms")
    clips = pickle.loads(pickle.dumps(open_clips(tmp_path)))
    assert clips.names == ("sa_2", "sa_10-00000", "sa_10-00001", "sa_10-00002")
    same_masks(clips[0], truth(STILL))
    same_frames(clips[0], truth(STILL), 2.5)
    same_masks(open_clips(tmp_path / folder / "sa_2.json")[0], truth(STILL))


def test_several_folders_with_the_same_names(tmp_path):
    for folder in ("one", "two"):
        sa1b.write([STILL], tmp_path / folder)
    assert open_clips(tmp_path).names == ("sa_2", "two-sa_2")


def test_images_in_another_folder(tmp_path):
    sa1b.write([STILL], tmp_path / "masks")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "masks/sa_2.jpg").rename(tmp_path / "pictures/sa_2.jpg")
    with pytest.raises(ClipError, match=r"sa_2\.jpg: the image of sa_2\.json is missing; .*\(--images FOLDER"):
        open_clips(tmp_path / "masks")[0]
    same_masks(open_clips(tmp_path / "masks", str(tmp_path / "pictures"))[0], truth(STILL))


def test_images_and_json_in_two_folders(tmp_path):
    sa1b.write([STILL, make_clip("kitchen", frames=1)], tmp_path / "annotations")
    (tmp_path / "images").mkdir()
    for file in (tmp_path / "annotations").glob("*.jpg"):
        file.rename(tmp_path / "images" / file.name)
    clips = open_clips(tmp_path)
    assert clips.names == ("kitchen", "sa_2")
    same_masks(clips[1], truth(STILL))


def edit(file: Path, change) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c["annotations"][0].pop("segmentation"), "annotations without a mask: 1 (1)"),
        (lambda c: c["annotations"][0]["segmentation"].update(size=[9, 9]), "run lengths that don't fit: 1 (1: "),
        (lambda c: c["annotations"].__setitem__(0, "mask"), "annotations without a mask: 1 (0)"),
    ],
)
def test_invalid_annotation_is_skipped(change, reason, tmp_path):
    sa1b.write([STILL], tmp_path)
    edit(tmp_path / "sa_2.json", change)
    with pytest.warns(DataWarning) as caught:
        (clip,) = open_clips(tmp_path)
    (text,) = (str(one.message) for one in caught if one.category is DataWarning)
    assert text.startswith(f"{tmp_path / 'sa_2.json'}: left out ") and reason in text
    np.testing.assert_array_equal(clip.masks[0], STILL.masks[0][1:2])


def test_deviations_from_the_format(tmp_path):
    """Sizes as text or missing, another or no name of the file."""
    sa1b.write([STILL], tmp_path)
    for change in (
        lambda c: c["image"].update(height="48", width=64.0),
        lambda c: c["image"].pop("height"),
        lambda c: c["image"].update(file_name="D:\\sa\\sa_2.jpg"),
        lambda c: c["image"].pop("file_name"),
    ):
        edit(tmp_path / "sa_2.json", change)
        with warnings.catch_warnings():
            warnings.simplefilter("error", DataWarning)
            same_masks(open_clips(tmp_path)[0], truth(STILL))


def test_coco_and_sa1b_are_distinguished(tmp_path):
    coco.write([STILL], tmp_path / "coco")
    assert len(open_clips(tmp_path / "coco")) == 1
    with pytest.raises(ClipError, match="no JSON of an image"):
        sa1b.clips(tmp_path / "coco")
    sa1b.write([STILL], tmp_path / "sa1b")
    with pytest.raises(ClipError, match="the key 'images' is missing"):
        coco.clips(tmp_path / "sa1b/sa_2.json")


def test_damaged_files(tmp_path):
    sa1b.write([make_clip(name, frames=1) for name in ("a", "b")], tmp_path)
    clips = open_clips(tmp_path)
    (tmp_path / "b.json").write_text('{"image": {')
    with pytest.raises(ClipError, match=r"b\.json: cannot be read as JSON"):
        clips[1]
    assert clips[0].masks[0].any()
