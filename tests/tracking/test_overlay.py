"""Overlay pictures: what is marked, what is left alone, what is refused."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from sam2_ros.tracking.overlay import colour, draw_overlay


def masklet(object_id, mask, present=True, label=""):
    presence = 0.97 if present else 0.02
    return SimpleNamespace(object_id=object_id, label=label, present=present, presence=presence, mask=mask)


def image(height=480, width=640):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def ellipse(x, y, a, b, height=480, width=640):
    rows, columns = np.ogrid[:height, :width]
    return ((columns - x) / a) ** 2 + ((rows - y) / b) ** 2 <= 1


def test_tints_the_mask_and_nothing_far_from_it():
    original = image()
    before = original.copy()
    mask = ellipse(320, 300, 80, 60)
    picture = draw_overlay(original, [masklet(1, mask, label="cup")])
    assert picture.dtype == np.uint8 and picture.shape == original.shape
    assert np.array_equal(original, before), "the input must stay untouched"
    inside, outside = ellipse(320, 300, 70, 50), ~ellipse(320, 300, 130, 120)
    expected = 0.55 * original[inside] + 0.45 * np.array(colour(1))
    assert np.abs(picture[inside] - expected).max() <= 1
    assert np.array_equal(picture[outside], original[outside])
    tag = picture[200:240, 235:400]  # above the mask
    assert (np.abs(tag.astype(int) - colour(1)).sum(2) < 60).sum() > 500


def test_absent_objects_are_listed_and_not_tinted():
    original = image()
    picture = draw_overlay(original, [masklet(3, np.zeros((480, 640), bool), present=False, label="hand")])
    changed = np.argwhere((picture != original).any(2))
    assert len(changed) > 500
    assert changed[:, 0].min() > 430 and changed[:, 1].max() < 320  # one tag, bottom left


def test_tags_of_objects_in_one_place_do_not_cover_each_other():
    mask = ellipse(300, 200, 100, 90)
    grey = np.full((480, 640, 3), 128, np.uint8)
    picture = draw_overlay(grey, [masklet(i, mask) for i in range(1, 6)])
    for i in range(1, 6):
        assert (np.abs(picture.astype(int) - colour(i)).sum(2) < 60).sum() > 300, f"the tag of object {i} is hidden"


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (24, 32), (2000, 30)])
def test_any_size_of_image(size):
    full = np.ones(size, bool)
    masklets = [masklet(1, full, label="x" * 40), masklet(2, ~full, present=False, label="gone " * 20)]
    picture = draw_overlay(image(*size), masklets)
    assert picture.shape == (*size, 3)


def test_colours_are_stable_and_distinct():
    colours = [np.array(colour(i), int) for i in range(1, 33)]
    assert all((c >= 0).all() and (c <= 255).all() for c in colours)
    apart = [np.abs(a - b).sum() for i, a in enumerate(colours[:12]) for b in colours[:i]]
    assert min(apart) > 60
    assert len({tuple(c) for c in colours}) == 32


def test_refuses_masks_of_another_image():
    with pytest.raises(ValueError, match=r"object 4 is 640 x 480 pixels, the image 320 x 240"):
        draw_overlay(image(240, 320), [masklet(4, np.zeros((480, 640), bool))])


def test_is_fast():
    picture, masklets = image(), [masklet(i, ellipse(100 + 110 * i, 200, 50, 60), label="cup") for i in range(4)]
    draw_overlay(picture, masklets)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        draw_overlay(picture, masklets)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.010  # about 0.002 on an idle machine
