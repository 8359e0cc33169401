"""The picture of everything that was found in an image."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_ros.tracking import rle
from sam2_ros.tracking.segmented_picture import MAX_SIDE, SegmentedThing, draw_segmented

GREY = np.full((300, 400, 3), 128, np.uint8)


def thing(rows: slice, columns: slice, shape: tuple[int, int] = (300, 400), **about: object) -> SegmentedThing:
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return SegmentedThing(rle.encode(mask), **{"iou": 0.9, **about})


def test_masks_are_tinted_and_the_rest_is_untouched() -> None:
    drawn = draw_segmented(GREY, [thing(slice(20, 120), slice(30, 180))])
    changed = (drawn != GREY).any(axis=2)
    assert changed[20:120, 30:180].all()
    assert not changed[130:].any() and not changed[:, 190:].any()


def test_small_masks_lie_on_large_ones() -> None:
    large, small = thing(slice(0, 300), slice(0, 400)), thing(slice(200, 290), slice(300, 390))
    for order in ([large, small], [small, large]):
        drawn = draw_segmented(GREY, order)
        inside, around = drawn[280, 345], drawn[20, 20]
        assert np.abs(inside.astype(int) - around).max() > 20


def test_neighbours_have_different_colours() -> None:
    size = 60
    shape = (4 * size, 5 * size)
    cells = [
        thing(slice(y, y + size), slice(x, x + size), shape)
        for y in range(0, shape[0], size)
        for x in range(0, shape[1], size)
    ]
    drawn = draw_segmented(np.full((*shape, 3), 128, np.uint8), cells).astype(int)
    tints = drawn[8::size, 8::size]
    for one, other in ((tints[1:], tints[:-1]), (tints[:, 1:], tints[:, :-1])):
        assert np.abs(one - other).max(axis=2).min() > 15


def test_label_is_written_however_small_the_mask_is() -> None:
    speck = slice(150, 152), slice(200, 202)
    nameless, named = (draw_segmented(GREY, [thing(*speck, label=label)]) for label in ("", "cup"))
    assert (named != GREY).any(axis=2).sum() > 4 * (nameless != GREY).any(axis=2).sum()


def test_large_images_are_reduced() -> None:
    shape = (1500, 2 * MAX_SIDE)
    drawn = draw_segmented(np.zeros((*shape, 3), np.uint8), [thing(slice(0, 750), slice(0, MAX_SIDE), shape)])
    assert drawn.shape == (750, MAX_SIDE, 3)
    assert drawn[300, 500].any() and not drawn[600, 1500].any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (3000, 1), (2, 5000)])
def test_tiny_and_thin_images_can_be_drawn(shape: tuple[int, int]) -> None:
    drawn = draw_segmented(np.zeros((*shape, 3), np.uint8), [thing(slice(0, 1), slice(0, 1), shape, label="cup")])
    assert drawn.dtype == np.uint8 and min(drawn.shape) >= 1
    assert not draw_segmented(np.zeros((*shape, 3), np.uint8), []).any()


def test_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="run lengths cover 4 pixels"):
        draw_segmented(GREY, [SegmentedThing(rle.encode(np.ones((2, 2), bool)), 0.5)])
