"""YOLO's segmentation labels, read back as Ultralytics reads them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image
from small_clips import make_clip

from sam2_ros.data import yolo


def drawn(row: str, height: int, width: int) -> tuple[int, np.ndarray]:
    """The class and the mask of a row, drawn as Ultralytics' `polygon2mask` draws it."""
    number, *values = row.split()
    corners = np.array(values, np.float32).reshape(-1, 2)
    assert len(corners) >= 3 and corners.min() >= 0 and corners.max() <= 1  # what its checks of label files demand
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, (corners * (width, height)).astype(np.int32)[None], 1)
    return int(number), mask > 0


def blobs(seed: int) -> np.ndarray:
    """A mask with several parts, holes, and parts in holes."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(3, 70, 2)
    cells = rng.random((int(rng.integers(1, 9)), int(rng.integers(1, 9)))).astype(np.float32)
    return cv2.resize(cells, (int(width), int(height))) > rng.uniform(0.2, 0.8)


def test_any_mask_is_covered_and_one_part_with_holes_is_exact() -> None:
    exact = holes = several = 0
    for seed in range(500):
        if not (mask := blobs(seed)).any():
            continue
        number, again = drawn(yolo.row(7, mask), *mask.shape)
        assert number == 7 and not (mask & ~again).any()
        parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1
        background = cv2.connectedComponents(np.pad(~mask, 1, constant_values=True).astype(np.uint8), connectivity=4)[0]
        if parts == 1:
            np.testing.assert_array_equal(again, mask)
            exact, holes = exact + 1, holes + (background > 2)
        else:  # but for lines between the parts
            several += 1
            assert (again & ~mask).sum() <= (parts - 1) * max(mask.shape)
    assert exact > 100 and holes > 20 and several > 100


@pytest.mark.parametrize("pixels", [[(3, 4)], [(3, 4), (3, 5)], [(0, 0), (9, 11)], [(9, 11)]])
def test_a_pixel_or_two_make_three_corners(pixels: list[tuple[int, int]]) -> None:
    mask = np.zeros((10, 12), bool)
    mask[tuple(np.transpose(pixels))] = True
    assert not (mask & ~drawn(yolo.row(0, mask), 10, 12)[1]).any()


def test_ring_in_a_ring_keeps_its_holes() -> None:
    mask = np.zeros((40, 40), np.uint8)
    for radius, value in ((18, 1), (14, 0), (10, 1), (5, 0)):
        cv2.circle(mask, (20, 20), radius, value, cv2.FILLED)
    again = drawn(yolo.row(0, mask > 0), 40, 40)[1]
    assert not (mask.astype(bool) & ~again).any() and (again & (mask == 0)).sum() <= 5  # a line from ring to ring


def test_empty_mask_has_no_polygon() -> None:
    with pytest.raises(ValueError, match="an empty mask has no polygon"):
        yolo.polygon(np.zeros((4, 4), bool))


def test_thousands_of_parts_take_no_hour() -> None:
    mask = np.random.default_rng(0).random((70, 100)) > 0.8
    assert not (mask & ~drawn(yolo.row(0, mask), *mask.shape)[1]).any()


def test_a_data_set(tmp_path: Path) -> None:
    labelled = replace(make_clip(every=2), labels={1: "coffee cup: 'big'", 5: "ball"})
    unlabelled = make_clip("images", frames=3)
    yolo.write([labelled, unlabelled], tmp_path)
    data = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert data["names"] == {0: "coffee cup: 'big'", 1: "object", 2: "ball"}
    assert data["train"] == data["val"] == ["images/walk", "images/images-"]
    for folder, clip, classes in ((data["train"][0], labelled, [0, 1, 2]), (data["train"][1], unlabelled, [1, 1, 1])):
        images = sorted((tmp_path / folder).iterdir())
        assert [int(image.stem) for image in images] == [i for i, masks in enumerate(clip.masks) if masks is not None]
        for image in images:
            before, _, after = str(image).rpartition("/images/")  # Ultralytics' `img2label_paths`
            rows = Path(f"{before}/labels/{after}").with_suffix(".txt").read_text().splitlines()
            assert Image.open(image).size == (64, 48)
            seen = [
                (number, mask) for number, mask in zip(classes, clip.masks[int(image.stem)], strict=True) if mask.any()
            ]
            assert len(rows) == len(seen)
            for row, (number, mask) in zip(rows, seen, strict=True):
                found, again = drawn(row, 48, 64)
                assert found == number and not (mask & ~again).any()


def test_images_without_objects_are_written_those_with_unknown_masks_are_not(tmp_path: Path) -> None:
    clip = make_clip(frames=3, ids=(1, 2))
    empty = np.zeros((2, 48, 64), bool)
    known = np.array([[True, True], [True, True], [True, False]])
    yolo.write([replace(clip, masks=[clip.masks[0], empty, clip.masks[2]], known=known)], tmp_path)
    labels = {file.name: file.read_text() for file in (tmp_path / "labels/walk").iterdir()}
    assert labels.keys() == {"00000.txt", "00001.txt"} and labels["00001.txt"] == ""
    assert {file.name for file in (tmp_path / "images/walk").iterdir()} == {"00000.jpg", "00001.jpg"}
