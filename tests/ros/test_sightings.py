"""Where the tracked objects were prompted and seen last."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_ros.model.config import CONFIGS
from sam2_ros.ros.sightings import MAX_IMAGES, Sightings
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.sighting import Sighting

CONFIG = CONFIGS["default"].at(64)
MASK = np.ones((60, 80), bool)


def image(value: int) -> np.ndarray:
    return np.full((60, 80, 3), value % 256, np.uint8)


def masklet(object_id: int, present: bool = True) -> Masklet:
    return Masklet(object_id, "", present, float(present), 0.5, MASK & present)


def frame(stamp: int, *masklets: Masklet) -> Frame:
    return Frame(stamp, 60, 80, masklets)


def described(sightings: tuple[Sighting, ...]) -> list[tuple[int, int, bool, int]]:
    """Object, stamp, whether it was prompted there, and the colour of the image."""
    return [(one.object_id, one.stamp, one.prompted, int(one.image[0, 0, 0])) for one in sightings]


@pytest.fixture
def sightings() -> Sightings:
    """Object 1 was prompted on image 10; image 20 is the newest."""
    sightings = Sightings(CONFIG)
    for stamp in (10, 20):
        sightings.add_image(stamp, image(stamp))
    sightings.add_prompted(masklet(1), 10, frame(20, masklet(1)), replaced=True)
    return sightings


def test_prompted_and_newest_image_of_each_object(sightings: Sightings) -> None:
    newest = frame(20, masklet(1), masklet(2))
    found = sightings.of(newest, {1: "cup", 2: ""})
    assert described(found) == [(1, 10, True, 10), (1, 20, False, 20), (2, 20, False, 20)]
    assert [one.label for one in found] == ["cup", "cup", ""]
    assert found[1].image is found[2].image and found[0].image.shape == (*CONFIG.shape(60, 80), 3)
    assert found[0].mask.shape == (60, 80)


def test_absent_object_keeps_the_image_on_which_it_was_seen_last(sightings: Sightings) -> None:
    sightings.of(frame(20, masklet(1)), {1: ""})
    sightings.add_image(30, image(30))
    assert described(sightings.of(frame(30, masklet(1, present=False)), {1: ""})) == [
        (1, 10, True, 10),
        (1, 20, False, 20),
    ]


def test_removed_objects_are_forgotten(sightings: Sightings) -> None:
    assert sightings.of(frame(20), {}) == ()
    assert sightings.of(None, {1: ""}) == ()


def test_prompt_makes_what_was_seen_before_invalid(sightings: Sightings) -> None:
    sightings.of(frame(20, masklet(1)), {1: ""})
    sightings.add_prompted(masklet(1), 20, frame(20, masklet(1)), replaced=False)
    assert described(sightings.of(frame(20, masklet(1)), {1: ""})) == [(1, 20, True, 20)]


def test_prompt_on_an_image_that_is_gone_counts_for_the_newest(sightings: Sightings) -> None:
    for stamp in range(21, 21 + MAX_IMAGES):
        sightings.add_image(stamp, image(stamp))
    newest = frame(stamp, masklet(1))
    sightings.add_prompted(masklet(1), 10, newest, replaced=False)
    assert described(sightings.of(newest, {1: ""})) == [(1, stamp, True, stamp)]


def test_replaced_object_that_is_not_seen_has_no_sighting(sightings: Sightings) -> None:
    sightings.of(frame(20, masklet(1)), {1: ""})
    sightings.add_prompted(masklet(1, present=False), 20, frame(20, masklet(1, present=False)), replaced=True)
    assert sightings.of(frame(20, masklet(1, present=False)), {1: ""}) == ()


def test_sightings_of_an_earlier_process_hold_until_there_are_newer_ones() -> None:
    earlier = [Sighting(1, "cup", stamp, image(stamp), MASK, stamp == 500) for stamp in (500, 600)]
    sightings = Sightings(CONFIG, earlier)
    assert list(sightings.of(None, {1: "cup"})) == earlier
    sightings.add_image(20, image(20))
    assert described(sightings.of(frame(20, masklet(1)), {1: "cup"})) == [(1, 500, True, 244), (1, 20, False, 20)]
