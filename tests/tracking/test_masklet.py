"""Boxes of masklets: tight, around the parts of a mask that count."""

from dataclasses import replace

import numpy as np
import pytest

from sam2_ros.tracking import Box, Masklet, Prompt, Tracker
from sam2_ros.tracking.masklet import BOX_MIN_PART


def masklet(mask: np.ndarray, box_min_part: float = BOX_MIN_PART) -> Masklet:
    return Masklet(1, "", bool(mask.any()), 1.0, 1.0, mask, box_min_part)


def thing(*rectangles: tuple[int, int, int, int]) -> np.ndarray:
    """An object with stray pixels: x, y, width, height of each part."""
    mask = np.zeros((60, 80), dtype=bool)
    for x, y, width, height in rectangles:
        mask[y : y + height, x : x + width] = True
    return mask


def test_stray_pixels_do_not_widen_the_box():
    mask = thing((20, 10, 30, 25), (0, 59, 1, 1), (79, 0, 1, 3), (70, 50, 5, 5))
    assert masklet(mask).box == Box(20, 10, 30, 25)
    assert masklet(mask, 0.0).box == Box(0, 0, 80, 60)
    assert masklet(mask, 0.03).box == Box(20, 10, 55, 45), "25 of 750 pixels are more than 0.03"
    assert masklet(mask).mask is mask


def test_all_main_parts_count_for_the_box():
    """Parts of an object behind a pole."""
    assert masklet(thing((20, 10, 10, 25), (35, 12, 12, 20), (60, 12, 1, 1))).box == Box(20, 10, 27, 25)


@pytest.mark.parametrize(
    ("mask", "box"),
    [
        (thing(), Box(0, 0, 0, 0)),
        (thing((79, 59, 1, 1)), Box(79, 59, 1, 1)),
        (thing((0, 0, 80, 60)), Box(0, 0, 80, 60)),
        (thing((3, 30, 60, 1), (40, 3, 1, 50)), Box(3, 3, 60, 50)),
        (thing((3, 30, 60, 1), (20, 10, 4, 4)), Box(3, 10, 60, 21)),  # a line of 60 pixels beside a block of 16
        (thing((10, 10, 20, 20)) & ~thing((15, 15, 5, 5)), Box(10, 10, 20, 20)),  # a hole is no part
        (thing((10, 10, 10, 10), (20, 20, 10, 10)), Box(10, 10, 20, 20)),  # they touch at a corner
    ],
)
def test_boxes_are_tight(mask, box):
    for share in (0.0, BOX_MIN_PART):
        computed = masklet(mask, share).box
        assert computed == box and all(type(side) is int for side in computed)


def test_boxes_of_read_only_masks_of_any_layout():
    mask = thing((20, 10, 30, 25))
    frozen = mask.copy()
    frozen.flags.writeable = False
    for other in (frozen, np.asfortranarray(mask), np.repeat(mask, 2, axis=1)[:, ::2]):
        assert masklet(other).box == Box(20, 10, 30, 25)


def test_the_tracker_sets_box_min_part(model, images):
    mask = thing((20, 10, 30, 25), (70, 50, 5, 5))
    boxes = []
    for settings in ({}, {"box_min_part": 0.0}):
        tracker = Tracker(model, **settings)
        tracker.step(images[0])
        prompted = tracker.prompt(Prompt(mask=mask))
        assert np.array_equal(prompted.mask, mask) and tracker.newest.masklets[0].box == prompted.box
        boxes.append(prompted.box)
    assert boxes == [Box(20, 10, 30, 25), Box(20, 10, 55, 45)]
    assert replace(prompted, box_min_part=0.1).box == boxes[0]
    with pytest.raises(ValueError, match=r"box_min_part is 1\.5"):
        Tracker(model, box_min_part=1.5)


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32])
def test_boxes_of_integer_masks(kind):
    mask = np.zeros((60, 80), kind)
    mask[10:40, 20:60] = 1
    assert masklet(mask).box == (20, 10, 40, 30)
