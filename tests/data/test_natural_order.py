"""One order for names with numbers wherever files are listed, and the meaning of gaps in the numbers."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_clips import make_clip, same_masks
from video_files import number_of, numbered

from sam2_ros.data import bag, coco, davis, mose, sav, sav_frames, youtube_vos
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.data.formats import open_clips
from sam2_ros.data.image_sequence import ImageFiles
from sam2_ros.data.natural_order import natural
from sam2_ros.data.video_reader import VideoReader
from sam2_ros.evaluation.mask_folder import read_masks, write_masks
from sam2_ros.evaluation.vos import stamp
from sam2_ros.scenes import pictures
from sam2_ros.tracking.masklet import Frame, Masklet

PLAIN = [f"frame_{number}" for number in range(1, 13)]
STAMPS = [str(1_700_000_000_000_000_000 + 33_333_333 * index) for index in range(12)]
UNEVEN = ["0", "7", "12", "13", "40", "41", "99", "100", "101", "500", "1000", "1001"]


@pytest.mark.parametrize(
    "names",
    [
        PLAIN,
        STAMPS,
        UNEVEN,
        ["00000", "00001", "00009", "00010", "100000"],
        ["1", "01", "2", "02", "3"],  # leading zeros: by value, then
        ["-10", "-2", "0", "3", "20"],
        ["999999999.5", "1700000000.05", "1700000000.25", "1700000000.5", "1700000001"],  # seconds
        ["cam_1700000000.05", "cam_1700000000.5", "cam_1700000001.25"],
        ["1700000000_9", "1700000000_100", "1700000001_1"],  # seconds and nanoseconds
        ["0.0", "0.033", "0.1", "0.5", "1.0", "10.0"],
        ["cam0.9", "cam0.10", "cam1.1", "cam10.1"],
        ["2024-05-01_9-59-59", "2024-05-01_10-00-00", "2024-05-10_1-00-00", "2024-10-01_0-00-00"],
        ["left_2", "left_10", "right_1", "right_3"],
        ["IMG_1", "img_2", "Img_3", "IMG_10"],
        ["1", "2", "10", "a", "a1", "a2b3", "a2b20", "a10", "b"],
        ["frame_١", "frame_２", "frame_10"],  # digits are not only 0 to 9
        ["x" + "9" * 100, "x1" + "0" * 100],
    ],
    ids=lambda names: names[0],
)
def test_numbers_are_compared_by_value(names: list[str]) -> None:
    shuffled = random.Random(0).sample(names, len(names))
    ordered = sorted(shuffled, key=natural)
    if names[0] == "1" and names[1] == "01":
        assert [int(name) for name in ordered] == [1, 1, 2, 2, 3] and ordered == sorted(names, key=natural)
    else:
        assert ordered == names


def test_paths_are_sorted_by_folder_first() -> None:
    paths = [
        Path(name) for name in ("a", "a/2.jpg", "a/2.png", "a/10.png", "a2/1.png", "a10/1.png", "b.png", "b/1.png")
    ]
    ordered = sorted(reversed(paths), key=natural)
    assert [path for path in ordered if len(path.parts) == 2] == [path for path in paths if len(path.parts) == 2]


def pictures_of(names: list[str], folder: Path) -> Path:
    """Write a picture under each name, numbered by its place."""
    folder.mkdir(parents=True)
    for place in random.Random(1).sample(range(len(names)), len(names)):
        Image.fromarray(numbered(place)).save(folder / f"{names[place]}.{'PNG' if place % 2 else 'png'}")
    (folder / f"._{names[0]}.png").write_bytes(b"what another system left")
    (folder / "Thumbs.db").write_bytes(b"another")
    return folder


@pytest.mark.parametrize("names", [PLAIN, STAMPS, UNEVEN], ids=["plain", "stamps", "uneven"])
def test_image_folders_are_read_in_natural_order(names: list[str], tmp_path: Path) -> None:
    folder = pictures_of(names, tmp_path / "images")
    for frames in (ImageFiles.of(folder), VideoReader(folder)):
        assert [number_of(image) for image in frames] == list(range(12))
    assert VideoReader(folder).count == 12


LAYOUTS = {
    "davis": (davis, ["JPEGImages/480p", "Annotations/480p"]),
    "mose": (mose, ["JPEGImages", "Annotations"]),
    "youtube_vos": (youtube_vos, ["JPEGImages", "Annotations"]),
    "sav_frames": (sav_frames, ["JPEGImages_24fps", "Annotations_6fps"]),
}


def renamed(root: Path, names: list[str]) -> None:
    """Give the frames of a data set other names, with their masks."""
    for file in [*root.rglob("*.jpg"), *root.rglob("*.png")]:
        file.rename(file.with_name(names[int(file.stem)] + file.suffix))
    if (meta := root / "meta.json").is_file():
        content = json.loads(meta.read_text())
        for video in content["videos"].values():
            for thing in video["objects"].values():
                thing["frames"] = [names[int(stem)] for stem in thing["frames"]]
        meta.write_text(json.dumps(content))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("names", [PLAIN, STAMPS, UNEVEN], ids=["plain", "stamps", "uneven"])
def test_data_sets_with_any_frame_names(layout: str, names: list[str], tmp_path: Path) -> None:
    """Frames are in order, masks belong to their frames, and numbers that are left out are no missing files."""
    kind, _ = LAYOUTS[layout]
    clips = [make_clip(f"take_{number}", frames=12, fps=30) for number in (1, 2, 10)]
    kind.write(clips, tmp_path)
    renamed(tmp_path, names)
    opened = open_clips(tmp_path)
    assert opened.names == ("take_1", "take_2", "take_10")
    for clip, truth in zip(opened, clips, strict=True):
        same_masks(clip, truth)
        for image, expected in zip(clip.frames, truth.frames, strict=True):
            assert np.abs(image.astype(int) - expected).mean() < 2.5, "neighbours differ by 12"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_mask_without_frame_is_an_error(layout: str, tmp_path: Path) -> None:
    """The fifth frame has no mask and may never have existed; the fourth has one."""
    kind, (images, _) = LAYOUTS[layout]
    whole = make_clip(frames=12, every=3, fps=30)
    kind.write([whole], tmp_path)
    if layout == "youtube_vos":  # which lists all frames of its objects
        meta = json.loads((tmp_path / "meta.json").read_text())
        for thing in meta["videos"]["walk"]["objects"].values():
            thing["frames"] = [stem for stem in thing["frames"] if int(stem) % 3 == 0]
        (tmp_path / "meta.json").write_text(json.dumps(meta))
    folder = tmp_path / images / "walk"
    (folder / "00004.jpg").unlink()
    clip = open_clips(tmp_path)[0]
    left = [index for index in range(12) if index != 4]
    same_masks(clip, Clip("", left, whole.object_ids, [whole.masks[index] for index in left]))
    (folder / "00003.jpg").unlink()
    with pytest.raises(ClipError, match=r"00003\.jpg.*missing"):
        open_clips(tmp_path)[0]


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    """The mask of that name is ambiguous."""
    mose.write([make_clip()], tmp_path)
    folder = tmp_path / "JPEGImages/walk"
    Image.open(folder / "00002.jpg").save(folder / "00002.png")
    with pytest.raises(ClipError, match=r"00002\.png, frame 3: has the same name as 00002\.jpg"):
        mose.read(tmp_path, "walk")


def test_masks_of_another_tracker_match_frame_names(tmp_path: Path) -> None:
    mose.write([make_clip(frames=12)], tmp_path / "set")
    renamed(tmp_path / "set", PLAIN)
    (clip,) = open_clips(tmp_path / "set")
    for index, masks in enumerate(clip.masks):
        masklets = [
            Masklet(object_id, "", bool(mask.any()), 1.0, 1.0, mask)
            for object_id, mask in zip(clip.object_ids, masks, strict=True)
        ]
        write_masks(tmp_path / "answers", clip, index, Frame(stamp(clip, index), 48, 64, tuple(masklets)))
    assert {file.stem for file in (tmp_path / "answers/walk").iterdir()} == set(PLAIN)
    for frame, masks in zip(read_masks(tmp_path / "answers", clip), clip.masks, strict=True):
        np.testing.assert_array_equal([masklet.mask for masklet in frame.masklets], masks)


def test_bags_and_videos_are_listed_in_natural_order(tmp_path: Path) -> None:
    names = ["run_1", "run_2", "run_10"]
    sav.write([make_clip(name) for name in reversed(names)], tmp_path / "videos")
    assert open_clips(tmp_path / "videos").names == tuple(names)
    for name in names:
        bag.write(make_clip(name, frames=1), tmp_path / "bags" / name)
    assert [path.name for path in bag.bags(tmp_path / "bags")] == names
    assert open_clips(tmp_path / "bags").names == tuple(names)


def test_coco_objects_are_in_the_order_of_their_ids(tmp_path: Path) -> None:
    clip = make_clip("still", frames=5, ids=(1, 2, 3))
    coco.write([Clip("still", clip.frames[4:], (1, 2, 3), clip.masks[4:])], tmp_path)
    file = tmp_path / "annotations.json"
    content = json.loads(file.read_text())
    for annotation, name in zip(content["annotations"], ("ann_2", "ann_10", "ann_9"), strict=True):
        annotation["id"] = name
    file.write_text(json.dumps(content))
    np.testing.assert_array_equal(open_clips(tmp_path)[0].masks[0], clip.masks[4][[0, 2, 1]])


def test_pictures_for_scenes_are_taken_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        noise = np.random.default_rng(number).integers(0, 256, (100, 120, 3), np.uint8)
        noise[0, 0] = number
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(noise).save(tmp_path / f"photos/photo_{number}.png")
    (images,) = pictures.Pictures.prepare(tmp_path / "store", [tmp_path / "photos"]).backgrounds
    assert [image[0, 0, 0] for image in images] == [1, 2, 10]
