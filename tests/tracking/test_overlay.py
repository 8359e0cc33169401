"""Overlay pictures: outlines, labels, unchanged pixels, and refused masks."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from sam2_ros.tracking.object_colours import ObjectColours
from sam2_ros.tracking.overlay import TINT, Overlay


def masklet(object_id, mask, present=True, label=""):
    presence = 0.97 if present else 0.02
    return SimpleNamespace(object_id=object_id, label=label, present=present, presence=presence, mask=mask)


def image(height=480, width=640):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def ellipse(x, y, a, b, height=480, width=640):
    rows, columns = np.ogrid[:height, :width]
    return ((columns - x) / a) ** 2 + ((rows - y) / b) ** 2 <= 1


def changed(picture, original):
    """Pixels that differ, bool [H, W]."""
    return (picture != original).any(2)


def coloured(picture, rgb):
    """The number of pixels of about this colour."""
    return int((np.abs(picture.astype(int) - rgb).sum(2) < 60).sum())


def test_masks_are_outlined_and_objects_stay_visible():
    original = np.full((480, 640, 3), (200, 40, 40), np.uint8)
    before, mask = original.copy(), ellipse(320, 300, 80, 60)
    picture = Overlay().draw(original, [masklet(1, mask, label="cup")])
    assert picture.dtype == np.uint8 and picture.shape == original.shape
    assert np.array_equal(original, before), "the input must stay untouched"
    rgb = ObjectColours().of(original, {1: mask})[1]
    inside, outside = ellipse(320, 300, 74, 54), ~ellipse(320, 300, 130, 120)
    expected = (1 - TINT) * original[inside] + TINT * np.array(rgb)
    assert np.abs(picture[inside] - expected).max() <= 1
    assert np.abs(picture[inside].astype(int) - original[inside]).sum(1).max() < 120, "a light tint"
    assert np.array_equal(picture[outside], original[outside])
    assert coloured(picture[200:240, 235:400], rgb) > 500, "the label, above the mask"
    rim = ellipse(320, 300, 85, 65) & ~ellipse(320, 300, 79, 59)
    assert coloured(picture[rim][None], rgb) > 300, "the outline"
    assert (picture[rim].astype(int).sum(1) < 160).sum() > 300, "its dark edges"


@pytest.mark.parametrize("opacity", [0.0, 0.5, 1.0])
def test_opacity_and_labels_are_chosen(opacity):
    original, mask = np.full((480, 640, 3), (200, 40, 40), np.uint8), ellipse(320, 300, 80, 60)
    objects = [masklet(1, mask, label="cup"), masklet(2, mask & False)]
    picture = Overlay().draw(original, objects, opacity, labels=False)
    rgb = np.array(ObjectColours().of(original, {1: mask})[1])
    inside, outside = ellipse(320, 300, 74, 54), ~ellipse(320, 300, 90, 70)
    assert np.abs(picture[inside] - ((1 - opacity) * original[inside] + opacity * rgb)).max() <= 1
    assert np.array_equal(picture[outside], original[outside]), "no text"


def test_labels_do_not_hide_small_objects():
    original = np.full((480, 640, 3), 90, np.uint8)
    masks = [ellipse(60 + 55 * i, 240, 9, 9) for i in range(10)]
    picture = Overlay().draw(original, [masklet(i + 1, mask, label="bolt") for i, mask in enumerate(masks)])
    colours = ObjectColours().of(original, {i + 1: mask for i, mask in enumerate(masks)})
    for i, mask in enumerate(masks):
        expected = (1 - TINT) * original[mask] + TINT * np.array(colours[i + 1])
        unchanged = (np.abs(picture[mask] - expected).max(1) <= 1).sum()
        assert unchanged > 0.5 * mask.sum(), f"the label of another covers object {i + 1}"


def test_colour_and_side_stay_from_image_to_image():
    overlay, sides, grey = Overlay(), [], np.full((480, 640, 3), 90, np.uint8)
    for step in range(20):
        first, second = ellipse(200 + 4 * step, 200, 40, 30), ellipse(420 - 4 * step, 205, 40, 30)
        picture = overlay.draw(grey, [masklet(1, first, label="cup"), masklet(2, second, label="mug")])
        rgb = ObjectColours().of(grey, {1: first})[1]
        rows = np.argwhere(np.abs(picture.astype(int) - rgb).sum(2) < 60)[:, 0]
        sides.append(bool((rows < 160).sum() > 300))
    assert sum(a != b for a, b in itertools.pairwise(sides)) <= 2, "the label jumps to and fro"


def test_absent_objects_are_listed_and_not_tinted():
    original = image()
    picture = Overlay().draw(original, [masklet(3, np.zeros((480, 640), bool), present=False, label="hand")])
    places = np.argwhere(changed(picture, original))
    assert len(places) > 500
    assert places[:, 0].min() > 430 and places[:, 1].max() < 320  # one tag, bottom left


def test_tags_of_objects_in_one_place_do_not_cover_each_other():
    mask = ellipse(300, 200, 100, 90)
    grey = np.full((480, 640, 3), 128, np.uint8)
    picture = Overlay().draw(grey, [masklet(i, mask) for i in range(1, 6)])
    for i, rgb in ObjectColours().of(grey, dict.fromkeys(range(1, 6), mask)).items():
        assert coloured(picture, rgb) > 300, f"the tag of object {i} is hidden"


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (24, 32), (2000, 30)])
def test_images_of_any_size(size):
    full = np.ones(size, bool)
    masklets = [masklet(1, full, label="x" * 40), masklet(2, ~full, present=False, label="gone " * 20)]
    picture = Overlay().draw(image(*size), masklets)
    assert picture.shape == (*size, 3)


def test_masks_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"object 4 is 640 x 480 pixels, the image 320 x 240"):
        Overlay().draw(image(240, 320), [masklet(4, np.zeros((480, 640), bool))])
