"""Colours of objects: contrasting and constant."""

import cv2
import numpy as np
import pytest

from sam2_ros.tracking.object_colours import ObjectColours, colour

SIZE = (240, 320)


def disc(x, y, radius=30):
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def scene(*discs, background=(120, 120, 120)):
    """A plain picture with coloured discs: (x, y, RGB)."""
    image = np.full((*SIZE, 3), background, np.uint8)
    for x, y, rgb in discs:
        image[disc(x, y)] = rgb
    return image


def difference(one, other):
    """CIE76 difference of two RGB colours."""
    pixels = np.array([[one, other]], np.float32) / 255
    first, second = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)[0]
    return float(np.linalg.norm(first - second))


def test_fixed_colours_of_ids_are_distinct():
    colours = [np.array(colour(i), int) for i in range(1, 33)]
    assert all((c >= 0).all() and (c <= 255).all() for c in colours)
    apart = [np.abs(a - b).sum() for i, a in enumerate(colours[:12]) for b in colours[:i]]
    assert min(apart) > 60
    assert len({tuple(c) for c in colours}) == 32


@pytest.mark.parametrize("own", [colour(1), (30, 60, 200), (200, 30, 30), (250, 250, 250), (5, 5, 5), (240, 200, 20)])
def test_a_colour_differs_from_the_object_and_its_surroundings(own):
    image = scene((100, 100, own), background=(90, 140, 90))
    chosen = ObjectColours().of(image, {1: disc(100, 100)})[1]
    assert difference(chosen, own) > 40
    assert difference(chosen, (90, 140, 90)) > 40


def test_objects_that_look_alike_get_different_colours():
    places = [(40 + 60 * i, 60 + 90 * j) for i in range(5) for j in range(2)]
    image = scene(*[(x, y, (200, 30, 30)) for x, y in places])
    chosen = list(ObjectColours().of(image, {i + 1: disc(x, y, 20) for i, (x, y) in enumerate(places)}).values())
    assert min(difference(a, b) for i, a in enumerate(chosen) for b in chosen[:i]) > 12


def test_a_colour_stays_while_the_object_is_tracked():
    colours, mask = ObjectColours(), disc(100, 100)
    first = colours.of(scene((100, 100, colour(1))), {1: mask})[1]
    looks_like_it = scene((100, 100, first))  # a lamp of that very colour is switched on
    assert colours.of(looks_like_it, {1: mask})[1] == first
    assert colours.of(looks_like_it, {1: np.zeros(SIZE, bool)})[1] == first, "absent"
    assert colours.of(looks_like_it, {}) == {}
    assert colours.of(looks_like_it, {1: mask})[1] != first, "a new object of that ID chooses anew"


def test_id_colour_is_used_if_it_contrasts():
    image = scene((100, 100, (30, 30, 30)), background=(40, 40, 40))
    assert ObjectColours().of(image, {2: disc(100, 100)})[2] == colour(2)
    assert ObjectColours().of(image, {2: np.zeros(SIZE, bool)})[2] == colour(2)
