"""Every layout, written and read again."""

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from small_clips import make_clip, same_frames, same_masks

from sam2_ros.data import bag, coco, davis, label_folders, mose, sav, sav_frames, youtube_vos
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, Clips, read_list
from sam2_ros.data.formats import open_all, open_clips
from sam2_ros.data.labels import read_labels, write_labels

JPEG, VIDEO = 2.5, 4.0  # mean difference of pixels that lossy coding may make; neighbouring frames differ by 12

FOLDERS = {
    "davis": davis,
    "mose": mose,
    "youtube_vos": youtube_vos,
    "sav_frames": sav_frames,
}


@pytest.mark.parametrize("layout", FOLDERS)
@pytest.mark.parametrize("every", [1, 3])
def test_folders_of_frames(layout, every, tmp_path):
    """The layout is detected; clips have the order of their names, masks are exact, None where not annotated."""
    fps = 30.0 if layout == "youtube_vos" else 24.0
    written = {name: make_clip(name, every=every, fps=fps) for name in ("walk", "run")}
    FOLDERS[layout].write(written.values(), tmp_path / "set")
    clips = open_clips(tmp_path / "set")
    assert clips.names == ("run", "walk")
    for clip in clips:
        assert clip.fps == fps
        same_masks(clip, written[clip.name])
        same_frames(clip, written[clip.name], JPEG)
    one = FOLDERS[layout].read(tmp_path / "set", "walk")
    same_masks(one, written["walk"])


def test_overlap_in_sav_and_in_label_images(tmp_path):
    clip = make_clip(overlap=True)
    assert (clip.masks[0][0] & clip.masks[0][1]).any()
    sav_frames.write([clip], tmp_path / "sav")
    same_masks(sav_frames.read(tmp_path / "sav", "walk"), clip)
    davis.write([clip], tmp_path / "davis")
    flat = [np.stack([mask & ~masks[row + 1 :].any(0) for row, mask in enumerate(masks)]) for masks in clip.masks]
    same_masks(davis.read(tmp_path / "davis", "walk"), Clip("walk", clip.frames, clip.object_ids, flat))


def test_sav_training(tmp_path):
    """MP4 and JSON: every fourth frame's masks are exact, also where they overlap; without masks it isn't annotated."""
    masks = list(make_clip(frames=14, every=4, overlap=True, ids=(1, 2, 3)).masks)
    masks[8] = None
    clip = Clip("sav_000001", make_clip(frames=14).frames, (1, 2, 3), masks)
    sav.write([clip], tmp_path / "sav_train/sav_000")
    (read,) = open_clips(tmp_path)
    assert open_clips(tmp_path / "sav_train/sav_000/sav_000001.mp4").names == ("sav_000001",)
    assert read.name == "sav_000001" and read.fps == 24
    same_masks(read, clip)
    same_frames(read, clip, VIDEO)
    annotation = json.loads((tmp_path / "sav_train/sav_000/sav_000001_manual.json").read_text())
    assert len(annotation["masklet"]) == 4 and annotation["masklet"][2] == [None] * 3
    assert annotation["masklet_id"] == [0, 1, 2] and annotation["masklet_num"] == 3
    assert annotation["masklet_frame_count"] == [3, 3, 3]
    assert annotation["masklet_first_appeared_frame"] == [0, 0, 1]
    assert annotation["masklet_size_abs"][0] == 12 * 14
    assert annotation["masklet_size_bucket"] == ["small"] * 3
    assert annotation["masklet_visibility_changes"] == [0, 0, 0]
    assert annotation["video_duration"] == pytest.approx(14 / 24)


def test_ids_of_automatic_masklets_follow_manual_ones(tmp_path):
    """Their IDs begin again in the file; objects come in the order of their IDs, whatever the file's."""
    clip = make_clip(every=4, ids=(1, 2))
    sav.write([clip], tmp_path)
    automatic = json.loads((tmp_path / "walk_manual.json").read_text())
    automatic["masklet_id"] = [3, 0]
    (tmp_path / "walk_auto.json").write_text(json.dumps(automatic))
    assert sav.read(tmp_path / "walk.mp4").object_ids == (1, 2)
    (both,) = sav.clips(tmp_path, auto=True)
    assert both.object_ids == (1, 2, 3, 6)
    np.testing.assert_array_equal(both.masks[4], clip.masks[4][[0, 1, 1, 0]])
    assert both.masks[5] is None


def test_video_frames_in_any_order(tmp_path):
    clip = make_clip(frames=40, every=4)
    clip = Clip("long", [np.roll(frame, 3 * t, 1) for t, frame in enumerate(clip.frames)], clip.object_ids, clip.masks)
    sav.write([clip], tmp_path)
    frames = sav.read(tmp_path / "long.mp4").frames
    in_order = list(frames)
    assert len({frame.tobytes() for frame in in_order}) == 40
    for index in (30, 3, 4, 20, 0, 39, -1, -40, 12):
        np.testing.assert_array_equal(frames[index], in_order[index])
    assert [frame.tobytes() for frame in frames[5:30:7]] == [frame.tobytes() for frame in in_order[5:30:7]]
    with pytest.raises(IndexError):
        frames[40]


def test_video_of_odd_size(tmp_path):
    even = make_clip()
    masks = [mask[:, :47, :63] for mask in even.masks]
    clip = Clip("odd", [frame[:47, :63] for frame in even.frames], even.object_ids, masks)
    sav.write([clip], tmp_path)
    (read,) = sav.clips(tmp_path)
    same_frames(read, clip, VIDEO)
    np.testing.assert_array_equal(read.masks[4], clip.masks[4])


def test_youtube_vos_numbers_frames_at_thirty_a_second(tmp_path):
    clip = make_clip(fps=6, ids=(1, 2, 5))
    youtube_vos.write([clip], tmp_path)
    assert sorted(file.name for file in (tmp_path / "JPEGImages/walk").iterdir())[-1] == "00040.jpg"
    objects = json.loads((tmp_path / "meta.json").read_text())["videos"]["walk"]["objects"]
    assert objects["1"]["frames"][:2] == ["00000", "00005"]
    assert objects["5"]["frames"] == ["00020", "00025", "00030", "00035", "00040"]  # it comes later
    (read,) = youtube_vos.clips(tmp_path)
    assert read.fps == 6
    same_masks(read, clip)


def test_youtube_vos_lists_numbers_or_names_of_files(tmp_path):
    clip = make_clip(fps=30, ids=(1, 2))
    youtube_vos.write([clip], tmp_path)
    meta = json.loads((tmp_path / "meta.json").read_text())
    objects = meta["videos"]["walk"]["objects"]
    objects["1"]["frames"] = [int(name) for name in objects["1"]["frames"]]
    objects["2"]["frames"] = [f"{name}.jpg" for name in objects["2"]["frames"]]
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    (read,) = youtube_vos.clips(tmp_path)
    same_masks(read, clip)


def test_sav_training_with_numbers_of_another_type(tmp_path):
    clip = make_clip(every=4, ids=(1, 2))
    sav.write([clip], tmp_path)
    (tmp_path / "walk.mp4").rename(tmp_path / "walk.MP4")
    annotation = json.loads((tmp_path / "walk_manual.json").read_text())
    annotation["masklet_id"] = [0.0, "1"]
    (tmp_path / "walk_manual.json").write_text(json.dumps(annotation))
    (read,) = open_clips(tmp_path)
    same_masks(read, clip)


def test_youtube_vos_with_all_frames(tmp_path):
    """Images of another folder, `train_all_frames`: every fifth is annotated."""
    clip = make_clip(frames=11, every=5, fps=30)
    youtube_vos.write([clip], tmp_path / "train")
    images = tmp_path / "train_all_frames/JPEGImages"
    images.parent.mkdir()
    (tmp_path / "train/JPEGImages").rename(images)
    (read,) = youtube_vos.clips(tmp_path / "train", images)
    assert read.fps == 30
    same_masks(read, clip)


def test_davis_2016_has_one_object_of_255(tmp_path):
    clip = make_clip(ids=(1,))
    davis.write([clip], tmp_path)
    for file in (tmp_path / "Annotations/480p/walk").iterdir():
        grey = np.array(Image.open(file)) * np.uint8(255)
        if file.stem in ("00000", "00003"):  # some are black and white, some grey saved as RGB
            Image.fromarray(grey).convert("1").save(file)
        else:
            Image.fromarray(np.stack([grey] * 3, axis=2) if file.stem == "00001" else grey).save(file)
    same_masks(davis.read(tmp_path, "walk"), clip)


def test_davis_void_is_no_object(tmp_path):
    clip = make_clip()
    davis.write([clip], tmp_path)
    file = tmp_path / "Annotations/480p/walk/00002.png"
    labels = np.array(Image.open(file))
    labels[0, 60:] = 255
    Image.fromarray(labels).save(file)
    same_masks(davis.read(tmp_path, "walk"), clip)


def test_davis_splits_and_resolutions(tmp_path):
    davis.write([make_clip("a"), make_clip("b"), make_clip("c")], tmp_path, resolution="Full-Resolution")
    (tmp_path / "ImageSets/2017").mkdir(parents=True)
    (tmp_path / "ImageSets/2017/val.txt").write_text("c\na\n")
    assert davis.clips(tmp_path, "Full-Resolution", split="2017/val").names == ("c", "a")
    assert open_clips(tmp_path).names == ("a", "b", "c")
    with pytest.raises(ClipError, match=r"2016/val\.txt: the list of clips is missing"):
        davis.sequences(tmp_path, split="2016/val")


def test_palette_equals_davis(tmp_path):
    """Colours of IDs 1, 2, 3, 5 and 255 as they are in DAVIS 2017's own files."""
    davis.write([make_clip()], tmp_path)
    with Image.open(tmp_path / "Annotations/480p/walk/00005.png") as image:
        assert image.mode == "P"
        palette = np.array(image.getpalette()).reshape(-1, 3)
    expected = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [128, 0, 128], [224, 224, 192]]
    np.testing.assert_array_equal(palette[[0, 1, 2, 3, 5, 255]], expected)


def test_label_images_hold_254_objects(tmp_path):
    davis.write([make_clip(ids=(1, 254))], tmp_path)
    assert davis.read(tmp_path, "walk").object_ids == (1, 254)
    with pytest.raises(ValueError, match="object ID 255 does not fit"):
        mose.write([make_clip(ids=(255,))], tmp_path)


def test_coco(tmp_path):
    """A clip of one frame stays one clip; each annotated frame of a longer one becomes a clip, with the objects visible
    there."""
    still, walk = make_clip("still", frames=1, overlap=True), make_clip(every=4, ids=(1, 2, 5))
    coco.write([still, walk], tmp_path)
    clips = open_clips(tmp_path)
    assert clips.names == ("still", "walk-00000", "walk-00004", "walk-00008")
    assert [clip.object_ids for clip in clips] == [(1, 2), (1, 2), (1, 2, 3), (1, 2, 3)]
    for clip, truth, index in [(clips[0], still, 0), (clips[2], walk, 4)]:
        seen = [mask for mask in truth.masks[index] if mask.any()]
        same_masks(clip, Clip("", [0], clip.object_ids, [np.stack(seen)]))
        same_frames(clip, Clip("", [truth.frames[index]], (), [None]), JPEG)


def test_coco_searches_usual_image_folders(tmp_path):
    """In COCO's folders, in those of annotation tools, and in a given one."""
    coco.write([make_clip("still", frames=1)], tmp_path / "a")
    content = json.loads((tmp_path / "a/annotations.json").read_text())
    for name, place in [
        ("coco/annotations/instances_val2017.json", "coco/val2017"),
        ("tool/_annotations.coco.json", "tool"),
        ("cvat/annotations/instances_default.json", "cvat/images"),
    ]:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
        image = (tmp_path / "a/images/still.jpg").read_bytes()
        (tmp_path / place / "still.jpg").write_bytes(image)
        (clip,) = open_clips(tmp_path / Path(name).parts[0])
        assert clip.frames[0].shape == (48, 64, 3)
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone/annotations.json").write_text(json.dumps(content))
    with pytest.raises(ClipError, match=r"still\.jpg is in none of .*give the folder"):
        open_clips(tmp_path / "alone")
    assert coco.clips(tmp_path / "alone/annotations.json", tmp_path / "a/images")[0].frames[0].shape == (48, 64, 3)


def test_coco_crowds_and_boxes_are_skipped(tmp_path):
    coco.write([make_clip("still", frames=1)], tmp_path)
    content = json.loads((tmp_path / "annotations.json").read_text())
    content["annotations"][0]["iscrowd"] = 1
    content["annotations"].append({"id": 9, "image_id": 1, "bbox": [1, 2, 3, 4]})
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    (clip,) = open_clips(tmp_path)
    assert clip.object_ids == (1,)
    np.testing.assert_array_equal(clip.masks[0][0], make_clip(frames=1).masks[0][1])
    content["images"].append(content["images"][0] | {"id": 2, "file_name": "nothing.jpg"})
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    assert open_clips(tmp_path).names == ("still",)  # an image without objects is skipped
    (tmp_path / "annotations.json").write_text(json.dumps(content | {"annotations": []}))
    with pytest.raises(ClipError, match="none of its images has an annotation"):
        open_clips(tmp_path)


def test_images_are_rotated_by_exif(tmp_path):
    file = tmp_path / "photo.jpg"
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[:, :10] = 200
    image = Image.fromarray(picture)
    exif = image.getexif()
    exif[0x0112] = 6  # held upright: a quarter turn to the right
    image.save(file, exif=exif)
    coco_file = tmp_path / "annotations.json"
    entry = {"id": 1, "file_name": "photo.jpg", "height": 30, "width": 20}
    annotation = {"id": 1, "image_id": 1, "segmentation": [[2, 2, 9, 2, 9, 20]]}
    coco_file.write_text(json.dumps({"images": [entry], "annotations": [annotation]}))
    (clip,) = open_clips(tmp_path)
    assert clip.frames[0].shape == (30, 20, 3) and clip.masks[0].shape == (1, 30, 20)
    assert clip.frames[0][:8].min() > 180 and clip.frames[0][12:].max() < 20


def test_grey_and_transparent_images_become_rgb(tmp_path):
    folder = tmp_path / "JPEGImages/v"
    folder.mkdir(parents=True)
    (tmp_path / "Annotations/v").mkdir(parents=True)
    for index, channels in enumerate([(), (4,), (3,)]):
        cv2.imwrite(str(folder / f"{index:05d}.png"), np.full((8, 10, *channels), 90, np.uint8))
    Image.fromarray(np.ones((8, 10), np.uint8)).save(tmp_path / "Annotations/v/00000.png")
    (clip,) = open_clips(tmp_path)
    assert all((frame == 90).all() and frame.shape == (8, 10, 3) for frame in clip.frames)


def test_clips_decode_lazily(tmp_path):
    """Opening decodes no frame, and no mask of SA-V's layouts; nothing is cached."""
    sav_frames.write([make_clip()], tmp_path)
    (clip,) = sav_frames.clips(tmp_path)
    (tmp_path / "Annotations_6fps/walk/000/00003.png").write_bytes(b"not a PNG")
    (tmp_path / "JPEGImages_24fps/walk/00005.jpg").write_bytes(b"not a JPEG")
    assert clip.masks[2].any() and clip.frames[4].any()
    with pytest.raises(ClipError, match=r"000/00003\.png, frame 3"):
        clip.masks[3]
    with pytest.raises(ClipError, match=r"00005\.jpg, frame 5"):
        clip.frames[-4]


def test_clips_can_be_pickled(tmp_path):
    davis.write([make_clip()], tmp_path / "davis")
    youtube_vos.write([make_clip()], tmp_path / "youtube")
    sav_frames.write([make_clip()], tmp_path / "frames")
    sav.write([make_clip()], tmp_path / "sav")
    coco.write([make_clip()], tmp_path / "coco")
    bag.write(make_clip(), tmp_path / "bag")
    for name in ("davis", "youtube", "frames", "sav", "coco", "bag"):
        clips = pickle.loads(pickle.dumps(open_clips(tmp_path / name)))
        assert clips[0].frames[0].shape == (48, 64, 3)
        assert clips[-1].masks[0].any()


def test_unknown_layouts_list_known_ones(tmp_path):
    (tmp_path / "holiday.txt").write_text("sun")
    with pytest.raises(ClipError) as caught:
        open_clips(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: unknown layout. Known layouts:")
    for word in ("JPEGImages_24fps", "meta.json", "JPEGImages/480p", "JPEGImages/<video>", "metadata.yaml", "_manual"):
        assert word in message
    with pytest.raises(ClipError, match="no such file or folder"):
        open_clips(tmp_path / "nothing")


def test_label_values_are_cached(tmp_path, monkeypatch):
    mose.write([make_clip()], tmp_path)
    mose.read(tmp_path, "walk")
    read = []
    monkeypatch.setattr(label_folders, "read_labels", lambda *args: read.append(args) or read_labels(*args))
    clip = mose.read(tmp_path, "walk")
    assert clip.object_ids == (1, 2, 5) and not read
    clip.masks[3]
    assert len(read) == 1
    file = tmp_path / "Annotations/walk/00003.png"
    write_labels(file, (7,), np.ones((1, 48, 64), bool))
    assert mose.read(tmp_path, "walk").object_ids == (1, 2, 5, 7)


def test_clips_are_a_sequence():
    clips = Clips(("a", "b", "c"), make_clip)
    assert len(clips) == 3 and clips[-1].name == "c"
    assert [clip.name for clip in clips[1:]] == ["b", "c"]
    with pytest.raises(IndexError):
        clips[3]


def test_clips_of_a_list(tmp_path):
    (tmp_path / "val.txt").write_text("c\na\n\nx \n")
    names = read_list(tmp_path / "val.txt")
    assert names == ["c", "a", "x"] and Clips(("a", "b", "c"), make_clip).listed(names).names == ("a", "c")
    (tmp_path / "val.txt").write_text("\n")
    with pytest.raises(ClipError, match=r"val\.txt: the list of clips is empty"):
        read_list(tmp_path / "val.txt")


def test_clips_of_several_data_sets(tmp_path):
    davis.write([make_clip("a"), make_clip("b"), make_clip("c")], tmp_path / "davis")
    bag.write(make_clip("d"), tmp_path / "d")
    paths = [tmp_path / "davis", tmp_path / "d"]
    (tmp_path / "train.txt").write_text("c\nd\na\n")
    assert [clip.name for clip in open_all(paths)] == ["a", "b", "c", "d"]
    assert [clip.name for clip in open_all(paths, tmp_path / "train.txt")] == ["a", "c", "d"]
    with pytest.raises(ClipError, match=r"train\.txt: there is no clip d in .*davis"):
        open_all(paths[:1], tmp_path / "train.txt")
    with pytest.raises(ClipError, match="there is no topic /left"):
        open_all(paths[1:], images="/left")[0]


def test_youtube_vos_with_only_first_frames_annotated(tmp_path):
    """As in its `valid`: objects that a label image lacks are unknown, not absent."""
    clip = make_clip("walk", fps=30.0)  # the third object comes on the fifth frame
    youtube_vos.write([clip], tmp_path)
    for index, png in enumerate(sorted((tmp_path / "Annotations/walk").glob("*.png"))):
        if index not in (0, 4):
            png.unlink()
    label = read_labels(tmp_path / "Annotations/walk/00004.png", clip.frames[4].shape[:2], 4)
    write_labels(tmp_path / "Annotations/walk/00004.png", (5,), (label.pixels == 5)[None])
    (read,) = open_clips(tmp_path)
    assert read.object_ids == (1, 2, 5)
    assert np.argwhere(read.known).tolist() == [[0, 0], [0, 1], [4, 2]]
