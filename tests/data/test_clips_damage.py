"""Damaged files: one class of error, which names file, frame and problem."""

import json
import pickle
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_clips import make_clip

from sam2_ros.data import bag, coco, davis, mose, sav, sav_frames, youtube_vos
from sam2_ros.data.clips import ClipError, DataWarning, undamaged


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """One clip of nine frames in each layout."""
    root = tmp_path_factory.mktemp("sets")
    for layout in (davis, mose, youtube_vos, sav_frames, sav):
        layout.write([make_clip(fps=30 if layout is youtube_vos else 24)], root / layout.__name__.rpartition(".")[2])
    coco.write([make_clip("still", frames=1)], root / "coco")
    bag.write(make_clip(), root / "bag")
    return root


@pytest.fixture
def copy(sets, tmp_path):
    """Make a copy of one of them, to be damaged."""
    return lambda name: Path(shutil.copytree(sets / name, tmp_path / name))


def decode(clip):
    for frame, masks in zip(clip.frames, clip.masks, strict=True):
        assert masks is None or masks.shape[1:] == frame.shape[:2]


def cut(file: Path, fraction: float = 0.6) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * fraction)])


def relabel(file: Path, labels: np.ndarray) -> None:
    Image.fromarray(labels).save(file)


def shorten_palette(file: Path, colours: int) -> None:
    """Leave the pixels of a PNG unchanged (Pillow would not)."""
    data = file.read_bytes()
    start = data.index(b"PLTE")
    end = start + 4 + int.from_bytes(data[start - 4 : start], "big")
    chunk = data[start : start + 4 + 3 * colours]
    size, checksum = (number.to_bytes(4, "big") for number in (3 * colours, zlib.crc32(chunk)))
    file.write_bytes(data[: start - 4] + size + chunk + checksum + data[end + 4 :])


def edit(file: Path, change) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps(change(content) or content))


def expect(file: Path, frame: int | None, problem: str, read) -> ClipError:
    """`read` raises a ClipError with this file, frame and problem (a regular expression)."""
    with pytest.raises(ClipError, match=problem) as caught:
        decode(read())
    assert caught.value.file == file
    assert caught.value.frame == frame
    assert str(caught.value).startswith(f"{file}{'' if frame is None else f', frame {frame}'}: ")
    return caught.value


IMAGES = {"davis": "JPEGImages/480p/walk", "mose": "JPEGImages/walk", "sav_frames": "JPEGImages_24fps/walk"}
READ = {
    "davis": lambda root: davis.read(root, "walk"),
    "mose": lambda root: mose.read(root, "walk"),
    "youtube_vos": lambda root: youtube_vos.read(root, "walk"),
    "sav_frames": lambda root: sav_frames.read(root, "walk"),
}


@pytest.mark.parametrize("layout", IMAGES)
def test_frames(copy, layout):
    root = copy(layout)
    images = root / IMAGES[layout]
    original = (images / "00003.jpg").read_bytes()

    def read():
        return READ[layout](root)

    cut(images / "00003.jpg")
    expect(images / "00003.jpg", 3, "cannot be decoded.*truncated", read)
    (images / "00003.jpg").write_bytes(b"")
    expect(images / "00003.jpg", 3, "cannot be decoded", read)
    (images / "00003.jpg").write_bytes(original)
    Image.new("RGB", (64, 50)).save(images / "00003.jpg")
    expect(images / "00003.jpg", 3, "is 64 x 50 pixels, but the first frame is 64 x 48", read)
    (images / "00003.jpg").unlink()
    expect(images / "00003.jpg", 3, "missing, but later frames", read)
    (images / "00003.jpg").write_bytes(original)
    decode(read())
    clip = read()
    (images / "00003.jpg").unlink()
    expect(images / "00003.jpg", 3, "the file is missing", lambda: clip)
    (images / "00003.jpg").write_bytes(original)
    (images / "00008.jpg").unlink()  # the last frame: its masks remain
    with pytest.raises(ClipError, match=r"00008\.png: belongs to no frame: .*00008\.jpg is missing"):
        read()
    shutil.rmtree(images)
    expect(images, None, "the folder is missing", read)
    images.mkdir()
    expect(images, None, "contains no images", read)


@pytest.mark.parametrize("layout", ["davis", "mose", "youtube_vos"])
def test_label_images(copy, layout):
    root = copy(layout)
    folder = root / ("Annotations/480p/walk" if layout == "davis" else "Annotations/walk")
    file = folder / "00005.png"
    labels = np.array(Image.open(file))

    def read():
        return READ[layout](root)

    shorten_palette(file, 3)
    expect(file, 5, "has label 5, but its palette has only 3 colours", read)
    relabel(file, labels[:-1])
    expect(file, 5, "is 64 x 47 pixels, the video's frames are 64 x 48", read)
    Image.fromarray(labels.astype(np.float32)).save(file, "TIFF")
    expect(file, 5, "holds floating-point values instead of labels", read)
    Image.fromarray(labels.astype(np.int32) + 2**16).save(file, "TIFF")
    expect(file, 5, "has values 65536 to 65541, not labels of 8 or 16 bits", read)
    relabel(file, np.stack([labels, labels, labels + 1], axis=2))
    if layout != "youtube_vos":
        expect(file, None, "is a colour image, but other files have labels with a palette", read)
    relabel(file, labels)
    cut(file)
    expect(file, 5, "cannot be decoded", read)
    shutil.rmtree(folder)
    expect(folder, None, "no annotations", read)


def test_youtube_vos(copy):
    root = copy("youtube_vos")
    meta = root / "meta.json"
    original = meta.read_text()

    def read():
        return READ["youtube_vos"](root)

    edit(meta, lambda content: content["videos"]["walk"]["objects"].pop("5") and None)
    expect(root / "Annotations/walk/00004.png", 4, r"has label 5, but the video's objects are \(1, 2\)", read)
    edit(meta, lambda content: content["videos"]["walk"]["objects"]["1"].pop("frames") and None)
    expect(meta, None, "video 'walk' has an invalid description.*frames", read)
    edit(meta, lambda content: content["videos"].update(walk={"objects": {"0": {"frames": []}}}))
    expect(meta, None, "object IDs must be 1 to 254", read)
    edit(meta, lambda content: {"video": {}})
    expect(meta, None, "the key 'videos' is missing", read)
    edit(meta, lambda content: {"videos": []})
    expect(meta, None, "the value of 'videos' is a list", read)
    meta.write_text(original)
    edit(meta, lambda content: content["videos"].update(run={"objects": {"1": {}}}))
    with pytest.warns(DataWarning, match=r"left out videos with an invalid description: 1 \(run: video 'run'"):
        decode(read())
    meta.write_text(original[:-5])
    expect(meta, None, "cannot be read as JSON", read)
    meta.write_text(original)
    (root / "JPEGImages/walk/00004.jpg").unlink()
    expect(root / "JPEGImages/walk/00004.jpg", None, "missing, but meta.json lists it", read)
    meta.unlink()
    expect(meta, None, "the file is missing", read)


def test_sav_frames(copy):
    root = copy("sav_frames")
    objects = root / "Annotations_6fps/walk"
    file = objects / "001/00005.png"
    labels = np.array(Image.open(file))

    def read():
        return READ["sav_frames"](root)

    relabel(file, labels[:, 1:])
    expect(file, 5, "is 63 x 48 pixels", read)
    labels[0, :3] = 2
    relabel(file, labels)
    expect(file, 5, r"more than one object \(labels 1, 2\)", read)
    file.unlink()
    decode(read())
    assert not read().masks[5][1].any()  # no file of this object: it is not visible
    (objects / "001").rename(objects / "one")
    expect(objects / "one", None, "must be a number", read)
    shutil.rmtree(objects)
    expect(objects, None, "no folders of objects", read)


def test_sav(copy):
    root = copy("sav")
    video, file = root / "walk.mp4", root / "walk_manual.json"
    original = file.read_text(), video.read_bytes()

    def damage(frame, problem, change):
        file.write_text(original[0])
        edit(file, change)
        expect(file, frame, problem, lambda: sav.read(video))

    def masks(content):
        return content["masklet"]

    damage(None, "the key 'masklet' is missing", lambda content: content.pop("masklet") and None)
    damage(None, "the key 'masklet_id' is missing", lambda content: content.pop("masklet_id") and None)
    damage(None, "'masklet_id' must be unique numbers", lambda content: content.update(masklet_id=[0, 0, 1]))
    damage(None, "not a JSON object", lambda content: [1])
    damage(4, "masklet 1: the mask is of size", lambda content: masks(content)[1][1].update(size=[48, 63]))
    damage(8, "masklet 2: .* do not add up to 64 x 48", lambda content: masks(content)[2][2].update(counts="0"))
    damage(4, "has 2 masks for 3 objects", lambda content: masks(content)[1].pop() and None)
    damage(4, "has a str for 3 objects", lambda content: masks(content).__setitem__(1, "mask"))
    damage(None, "annotates 4 frames, one in 4, but the video has only 9", lambda c: masks(c).append(masks(c)[0]))
    file.write_text(original[0][:1000])
    expect(file, None, "cannot be read as JSON", lambda: sav.read(video))
    file.unlink()
    expect(file, None, "the file is missing", lambda: sav.read(video))
    expect(root, None, "no video <id>.mp4 with", lambda: sav.clips(root)[0])

    file.write_text(original[0])
    cut(video)
    expect(video, None, "cannot be opened as a video", lambda: sav.read(video))
    end = original[1].index(b"moov") - 4  # the index, after the data of the frames
    video.write_bytes(original[1][: end // 2] + bytes(end - end // 2) + original[1][end:])
    with pytest.raises(ClipError, match=r"walk\.mp4, frame [0-8]: cannot be decoded from here on"):
        decode(sav.read(video))
    video.unlink()
    expect(video, None, "the video is missing", lambda: sav.read(video))


def test_coco(copy):
    root = copy("coco")
    file = root / "annotations.json"
    original = file.read_text()

    def damage(frame, problem, change):
        file.write_text(original)
        edit(file, change)
        expect(file, frame, problem, lambda: coco.clips(file)[0])

    def one(content):
        return content["annotations"][1]

    damage(None, "the key 'annotations' is missing", lambda content: content.pop("annotations") and None)
    damage(None, "lists no images", lambda content: content.update(images=[]))

    def damage_all(**values):
        return lambda content: [annotation.update(values) for annotation in content["annotations"]] and None

    nothing = "none of its images has an annotation with a segmentation; left out "
    damage(None, nothing + "annotations of images that are not listed: 2 .1, 2.", damage_all(image_id=7))
    damage(None, nothing + "annotations without a mask: 2", damage_all(segmentation=[]))
    damage(None, nothing + "annotations with invalid polygons", damage_all(segmentation=[[1, 2, 3]]))
    wrong = {"size": [1, 2], "counts": "11"}
    damage(None, nothing + r".* don't fit: 2 \(1: the mask is of size", damage_all(segmentation=wrong))
    file.write_text(original)
    clips = coco.clips(file)
    image = root / "images/still.jpg"
    Image.new("RGB", (10, 20)).save(image)
    expect(image, 0, "is 10 x 20 pixels, annotations.json says 64 x 48", lambda: clips[0])
    cut(image, 0.9)
    expect(image, 0, "cannot be decoded", lambda: clips[0])
    image.unlink()
    expect(image, 0, "the file is missing", lambda: clips[0])


def test_bag(copy):
    root = copy("bag")
    (storage,) = root.glob("*.mcap")
    original = storage.read_bytes()
    cut(storage)
    expect(root, None, r"cannot be read: .*sam2_ros recover", lambda: bag.read(root))
    expect(storage, None, "cannot be read", lambda: bag.read(storage))
    (root / "metadata.yaml").rename(root / "metadata")
    expect(root.parent, None, r"no bag .*sam2_ros recover", lambda: bag.clips(root.parent))
    (root / "metadata").rename(root / "metadata.yaml")
    storage.write_bytes(original[:40] + b"\0" * 200 + original[240:])
    with pytest.raises(ClipError, match=f"{root}"):
        decode(bag.read(root))
    storage.write_bytes(original)
    decode(bag.read(storage))
    storage.unlink()
    expect(root, None, "missing", lambda: bag.read(root))
    expect(root / "nothing", None, "no bag", lambda: bag.clips(root / "nothing"))


def test_damaged_clips_are_left_out_and_counted(tmp_path):
    mose.write([make_clip(name) for name in ("a", "b", "c", "d", "e")], tmp_path)
    cut(tmp_path / "JPEGImages/b/00007.jpg")  # shows when it is decoded
    cut(tmp_path / "Annotations/d/00002.png")  # shows when the clip is opened
    shutil.rmtree(tmp_path / "Annotations/e")
    errors: list[ClipError] = []
    good = undamaged(mose.clips(tmp_path), errors)
    assert [clip.name for clip in good] == ["a", "c"]
    assert [(error.file.relative_to(tmp_path).parts[1], error.frame) for error in errors] == [
        ("b", 7),
        ("d", 2),
        ("e", None),
    ]


def test_errors_can_come_from_worker_processes():
    error = pickle.loads(pickle.dumps(ClipError("a/b.jpg", "is blue", 3)))
    assert (error.file, error.frame, error.problem) == (Path("a/b.jpg"), 3, "is blue")
    assert str(error) == "a/b.jpg, frame 3: is blue"
