"""Files of operating systems are ignored, and links are followed."""

import json
import warnings

import numpy as np
import pytest

from sam2_ros.data import coco, davis, mose, sav
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, DataWarning, read_list
from sam2_ros.data.formats import open_clips


def _clip(name: str, frames: int = 5) -> Clip:
    image, mask = np.full((32, 48, 3), 90, np.uint8), np.zeros((1, 32, 48), bool)
    mask[0, 8:20, 8:20] = True
    return Clip(name, [image] * frames, (1,), [mask] * frames)


@pytest.mark.parametrize("name", ["__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"])
def test_system_folders_are_ignored(tmp_path, name):
    mose.write([_clip("v")], tmp_path)
    (tmp_path / "JPEGImages" / name).mkdir()
    assert open_clips(tmp_path).names == ("v",)


def test_files_of_macos_beside_videos_and_json(tmp_path):
    sav.write([_clip("v")], tmp_path / "sav")
    for folder in (tmp_path / "sav", tmp_path / "sav" / "__MACOSX"):
        folder.mkdir(exist_ok=True)
        (folder / "._v.mp4").write_bytes(b"\0")
        (folder / "._v_manual.json").write_bytes(b"\0")
    assert open_clips(tmp_path / "sav").names == ("v",)
    coco.write([_clip("v", 1)], tmp_path / "coco")
    (tmp_path / "coco" / "annotations.json").rename(tmp_path / "coco" / "mine.json")
    (tmp_path / "coco" / "._mine.json").write_bytes(b'\0"images": [')
    assert open_clips(tmp_path / "coco").names == ("v",)


def test_linked_folders_are_read_and_circular_links_end(tmp_path):
    sav.write([_clip("v")], tmp_path / "disk" / "sav_000")
    (tmp_path / "sav").mkdir()
    (tmp_path / "sav" / "sav_000").symlink_to(tmp_path / "disk" / "sav_000")
    (tmp_path / "sav" / "again").symlink_to(tmp_path / "sav")
    assert open_clips(tmp_path / "sav").names == ("v",)


def test_videos_of_one_name_in_several_folders_are_all_read(tmp_path):
    for folder, frames in (("front", 5), ("rear", 9)):
        sav.write([_clip("v", frames)], tmp_path / folder)
    clips = open_clips(tmp_path)
    assert clips.names == ("rear-v", "v")
    assert {clip.name: len(clip) for clip in clips} == {"rear-v": 9, "v": 5}


def test_videos_without_manual_masklets_are_counted(tmp_path):
    sav.write([_clip("a"), _clip("b"), _clip("c")], tmp_path)
    (tmp_path / "b_manual.json").unlink()
    (tmp_path / "c.mp4").unlink()
    with pytest.warns(DataWarning, match=r"without a JSON .*: 1 \(b.mp4\); JSONs .*: 1 \(c_manual.json"):
        assert open_clips(tmp_path).names == ("a",)


def test_other_meta_json_is_not_youtube_vos(tmp_path):
    mose.write([_clip("v")], tmp_path)
    (tmp_path / "meta.json").write_text(json.dumps({"name": "mine"}))
    assert open_clips(tmp_path).names == ("v",)
    (tmp_path / "meta.json").write_text("{")
    with pytest.raises(ClipError, match="cannot be read as JSON"):
        open_clips(tmp_path)


def test_lists_of_davis_2016_name_the_files_of_each_frame(tmp_path):
    davis.write([_clip("bear"), _clip("dog")], tmp_path)
    file = tmp_path / "ImageSets" / "480p" / "val.txt"
    file.parent.mkdir(parents=True)
    pairs = (f"/JPEGImages/480p/bear/{i:05d}.jpg /Annotations/480p/bear/{i:05d}.png \n" for i in range(5))
    file.write_text("".join(pairs))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clips = davis.clips(tmp_path, split="480p/val")
    assert clips.names == ("bear",) and len(clips[0]) == 5
    assert davis.sequences(tmp_path, split="480p/val.txt") == ["bear"]


def test_lists_with_windows_line_endings(tmp_path):
    (tmp_path / "val.txt").write_bytes(b"\xef\xbb\xbfbear\r\n\r\ndog/\r\nbear\r\ncaf\xe9\r\n")
    assert read_list(tmp_path / "val.txt") == ["bear", "dog", "caf\udce9"]
    with pytest.raises(ClipError, match="cannot be read as a list of clips: Is a directory"):
        read_list(tmp_path)
