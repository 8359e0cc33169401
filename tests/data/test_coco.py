"""COCO files of annotation tools: readable entries are read, the others are counted and named."""

import json
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_clips import make_clip

from sam2_ros.data import coco, coco_rle
from sam2_ros.data.clips import ClipError, DataWarning
from sam2_ros.data.formats import open_clips

SQUARE = [10, 10, 30, 10, 30, 30, 10, 30]
OTHER = [40.5, 5.5, 60, 5, 60, 20, 40, 20]


def content(**of_image) -> dict:
    """One image of 64 x 48 with two objects."""
    image = {"id": 1, "file_name": "x.jpg", "height": 48, "width": 64} | of_image
    annotations = [{"id": n, "image_id": 1, "segmentation": [polygon]} for n, polygon in ((1, SQUARE), (2, OTHER))]
    return {"images": [image], "annotations": annotations}


def write(root: Path, data: dict, place: str = "images/x.jpg", name: str = "annotations.json") -> Path:
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48), (90, 90, 90)).save(root / place)
    (root / name).write_text(json.dumps(data))
    return root


def masks(root: Path, images: str | Path | None = None) -> np.ndarray:
    """Masks of the only image."""
    (clip,) = open_clips(root, None if images is None else str(images))
    assert clip.frames[0].shape == (48, 64, 3)
    return clip.masks[0]


def left_out(root: Path) -> str:
    """The list of omitted entries in a warning."""
    with pytest.warns(DataWarning) as caught:
        open_clips(root)
    (text,) = (str(one.message) for one in caught if one.category is DataWarning)
    assert text.startswith(f"{root / 'annotations.json'}: left out ") and "\n" not in text
    return text


TWO = np.stack([coco.segment([polygon], (48, 64)) for polygon in (SQUARE, OTHER)])


@pytest.mark.parametrize(
    "name",
    [
        r"images\x.jpg",
        r"..\images\x.jpg",
        r"C:\Users\me\my pictures\x.jpg",
        "/home/me/pictures/x.jpg",
        "./x.jpg",
        "https://example.org/data/x.jpg?size=large",
        "/data/local-files/?d=pictures/x.jpg",
        "/data/upload/3/0a1b2c3d-x.jpg",
        "some%20folder/x.jpg",
        "X.JPG",
    ],
)
@pytest.mark.parametrize("place", ["x.jpg", "images/x.jpg", "deep/er/x.jpg"])
def test_images_with_the_paths_of_another_machine(name, place, tmp_path):
    write(tmp_path, content(file_name=name), place)
    np.testing.assert_array_equal(masks(tmp_path), TWO)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("result.json", "images/x.jpg"),  # Label Studio
        ("labels.json", "data/x.jpg"),  # FiftyOne
        ("train/_annotations.coco.json", "train/x.jpg"),  # Roboflow
        ("annotations/instances_default.json", "images/default/x.jpg"),  # CVAT
        ("annotations/person.json", "x.jpg"),
        ("dataset.json", "x.jpg"),
        ("trainval.json", "JPEGImages/x.jpg"),  # labelme
    ],
)
def test_folders_of_annotation_tools(name, place, tmp_path):
    write(tmp_path, content(), place, name)
    (tmp_path / "notes.json").write_text('{"project": "kitchen"}')
    np.testing.assert_array_equal(masks(tmp_path), TWO)


def test_existing_absolute_path_is_used(tmp_path):
    """Even if another file of that name lies beside the list."""
    photo = tmp_path / "camera/x.jpg"
    write(tmp_path / "list", content(file_name=str(photo)))
    photo.parent.mkdir()
    Image.new("RGB", (64, 48), (200, 0, 0)).save(photo)
    (clip,) = open_clips(tmp_path / "list")
    assert clip.frames[0][0, 0, 0] > 190
    (clip,) = open_clips(tmp_path / "list", str(tmp_path / "list/images"))
    assert clip.frames[0][0, 0, 0] < 100


def test_unicode_normalisation_of_macos(tmp_path):
    write(tmp_path, content(file_name="caf\u00e9.jpg"), "images/cafe\u0301.jpg")
    np.testing.assert_array_equal(masks(tmp_path), TWO)


def test_folder_of_images_is_given(tmp_path):
    write(tmp_path / "list", content(file_name="there/x.jpg"))
    shutil.move(tmp_path / "list/images", tmp_path / "elsewhere")
    with pytest.raises(ClipError, match=r"there/x\.jpg is in none of .*give the folder.*--images FOLDER"):
        open_clips(tmp_path / "list")
    np.testing.assert_array_equal(masks(tmp_path / "list", tmp_path / "elsewhere"), TWO)
    with pytest.raises(ClipError, match="nowhere: no such folder of images"):
        open_clips(tmp_path / "list", str(tmp_path / "nowhere"))


def test_missing_images_are_listed_and_the_others_read(tmp_path):
    data = content()
    for number in range(2, 7):
        data["images"].append({"id": number, "file_name": f"gone{number}.jpg", "height": 48, "width": 64})
        data["annotations"].append({"id": 10 + number, "image_id": number, "segmentation": [SQUARE]})
    write(tmp_path, data)
    data["images"].append({"id": 8, "file_name": "no\0name.jpg", "height": 48, "width": 64})
    data["annotations"].append({"id": 18, "image_id": 8, "segmentation": [SQUARE]})
    (tmp_path / "annotations.json").write_text(json.dumps(data))
    assert "images that are missing: 6 (gone2.jpg, gone3.jpg, gone4.jpg, ...)" in left_out(tmp_path)
    np.testing.assert_array_equal(masks(tmp_path), TWO)


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ({"image_id": 9}, "annotations of images that are not listed: 1 (7)"),
        ({"image_id": None}, "annotations of images that are not listed: 1 (7)"),
        ({"segmentation": []}, "annotations without a mask: 1 (7)"),
        ({"segmentation": None, "bbox": [1, 2, 3, 4]}, "annotations without a mask: 1 (7)"),
        ({"segmentation": [[]]}, "annotations without a mask: 1 (7)"),
        ({"isbbox": True}, "annotations without a mask: 1 (7)"),
        (
            {"segmentation": [[5, 5, 9, 9]]},
            "annotations with invalid polygons or polygons of less than three corners: 1",
        ),
        ({"segmentation": [[5, 5, 9, 9, 9, 5, 4]]}, "annotations with invalid polygons or polygons of less"),
        ({"segmentation": [[5, 5, 9, 9, 9, "here"]]}, "annotations with invalid polygons or polygons of less"),
        ({"segmentation": [[5, 5, 9, 9, 9, float("nan")]]}, "annotations with invalid polygons or polygons of less"),
        ({"segmentation": [[5, 5, 9, 9, 9, 1e9]]}, "annotations with invalid polygons or polygons of less"),
        ({"segmentation": [[5, 5, 9, 9, 9, 10**400]]}, "annotations with invalid polygons or polygons of less"),
        ({"segmentation": [[[[[[[[5, 5, 9, 9, 9, 9]]]]]]]]}, "annotations with invalid polygons or polygons of less"),
        ({"segmentation": "polygon"}, "annotations with invalid polygons or polygons of less"),
        ({"segmentation": [[5, 5], 7]}, "annotations with invalid polygons or polygons of less"),
        ({"segmentation": {"size": [64, 48], "counts": [3072]}}, "don't fit: 1 (7: the mask is of size [64, 48]"),
        ({"segmentation": {"size": [48, 64], "counts": [3]}}, "don't fit: 1 (7: the run lengths do not add up"),
        ({"iscrowd": 1}, "regions of a crowd (iscrowd): 1 (7)"),
        (None, "annotations of images that are not listed: 1 (annotations[2])"),
    ],
)
def test_invalid_annotation_is_skipped(annotation, reason, tmp_path):
    data = content()
    one = {"id": 7, "image_id": 1, "segmentation": [SQUARE]}
    data["annotations"].append(annotation and one | annotation)
    write(tmp_path, data)
    assert reason in left_out(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(masks(tmp_path), TWO)


def test_polygon_of_two_points_is_skipped(tmp_path):
    data = content()
    data["annotations"][0]["segmentation"].append([5, 5, 9, 9])
    write(tmp_path, data)
    assert "polygons of less than three corners: 1 (1)" in left_out(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(masks(tmp_path), TWO)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["images"][0].update(height=48.0, width="64"),
        lambda data: data["images"][0].pop("height"),
        lambda data: data["images"][0].update(height=None, width=0),
        lambda data: data["images"][0].update(height=10**400, width=1e999),
        lambda data: data["images"][0].update(id="1"),
        lambda data: data["annotations"][0].update(image_id=1.0),
        lambda data: data["annotations"][0].update(id="1", iscrowd=0, category_id=None),
        lambda data: data["annotations"][0].update(iscrowd=False),
        lambda data: [annotation.pop("id") for annotation in data["annotations"]],
        lambda data: data["annotations"][0].update(segmentation=SQUARE),
        lambda data: data["annotations"][0].update(segmentation=[[SQUARE]]),
        lambda data: data["annotations"][0].update(segmentation=np.reshape(SQUARE, (4, 2)).tolist()),
        lambda data: data["annotations"][0].update(segmentation=[np.reshape(SQUARE, (4, 2)).tolist()]),
        lambda data: data["images"].append(dict(data["images"][0])),
        lambda data: [one.update(iscrowd=1, segmentation=coco_rle.encode(mask)) for one, mask in _with_masks(data)],
        lambda data: data["annotations"][0].update(
            iscrowd=1, segmentation=coco_rle.encode(TWO[0]), attributes={"occluded": False}
        ),  # CVAT
        lambda data: data["images"][0].update(path=data["images"][0].pop("file_name")),
    ],
)
def test_deviations_of_annotation_tools(change, tmp_path):
    data = content()
    change(data)
    write(tmp_path, data)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        np.testing.assert_array_equal(masks(tmp_path), TWO)


def _with_masks(data: dict):
    return zip(data["annotations"], TWO, strict=True)


def test_polygons_reach_out_of_the_image(tmp_path):
    data = content()
    data["annotations"][0]["segmentation"] = [[-20, -20, 500, -20, 500, 20, -20, 20]]
    write(tmp_path, data)
    assert masks(tmp_path)[0][:19].all() and not masks(tmp_path)[0][21:].any()


def test_json_with_a_byte_order_mark(tmp_path):
    write(tmp_path, content())
    (tmp_path / "annotations.json").write_bytes(json.dumps(content()).encode("utf-8-sig"))
    np.testing.assert_array_equal(masks(tmp_path), TWO)


def test_deeply_nested_json(tmp_path):
    (tmp_path / "annotations.json").write_text("[" * 100_000)
    with pytest.raises(ClipError, match="cannot be read as JSON"):
        open_clips(tmp_path)


def test_images_with_one_id_and_with_one_name(tmp_path):
    data = content()
    data["images"] += [{"id": 2, "file_name": name, "height": 48, "width": 64} for name in ("x.png", "y.jpg")]
    data["images"].append({"id": 3, "file_name": "x.png", "height": 48, "width": 64})
    data["annotations"] += [{"id": 3, "image_id": 2, "segmentation": [SQUARE]}]
    data["annotations"] += [{"id": 4, "image_id": 3, "segmentation": [SQUARE]}]
    write(tmp_path, data)
    Image.new("RGB", (64, 48)).save(tmp_path / "images/x.png")
    assert "images that share their id with another: 1" in left_out(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clips = open_clips(tmp_path)
    assert clips.names == ("x", "x-2") and len(clips[1].object_ids) == 1


def test_two_names_of_one_file_are_left_out(tmp_path):
    """With a/x.jpg and b/x.jpg listed, and only one x.jpg, the file is ambiguous."""
    data = content(file_name="a/x.jpg")
    data["images"].append({"id": 2, "file_name": "b/x.jpg", "height": 48, "width": 64})
    data["images"].append({"id": 3, "file_name": "y.jpg", "height": 48, "width": 64})
    data["annotations"] += [{"id": n, "image_id": n - 1, "segmentation": [SQUARE]} for n in (3, 4)]
    write(tmp_path, data)
    Image.new("RGB", (64, 48)).save(tmp_path / "images/y.jpg")
    assert "images for which there is only one file x.jpg: 1 (a/x.jpg, b/x.jpg)" in left_out(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert open_clips(tmp_path).names == ("y",)


def test_only_the_file_of_another_size_is_refused(tmp_path):
    write(tmp_path, content(height=50))
    with pytest.raises(ClipError, match=re.escape("x.jpg, frame 0: is 64 x 48 pixels, annotations.json says 64 x 50")):
        open_clips(tmp_path)[0]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_masks_are_rotated_with_an_unrotated_annotation(orientation, tmp_path):
    """A tool that ignores EXIF lists the stored size, and `read_image` rotates the photo."""
    write(tmp_path, content())
    photo = np.where(TWO[0][..., None], np.uint8(250), np.zeros((48, 64, 3), np.uint8))
    image = Image.fromarray(photo)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "images/x.jpg", exif=exif, quality=95)
    (clip,) = open_clips(tmp_path)
    assert clip.frames[0].shape == (64, 48, 3) and clip.masks[0].shape == (2, 64, 48)
    bright = clip.frames[0][..., 0] > 125
    assert (bright & clip.masks[0][0]).sum() / (bright | clip.masks[0][0]).sum() > 0.97


def test_several_lists_are_an_error(tmp_path):
    coco.write([make_clip("still", frames=1)], tmp_path)
    for split in ("train", "valid"):
        write(tmp_path / split, content(), "x.jpg", "_annotations.coco.json")
    (tmp_path / "annotations.json").unlink()
    with pytest.raises(ClipError, match=r"several lists of images: open one of .*train.*valid"):
        open_clips(tmp_path)
