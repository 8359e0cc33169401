"""Masks by hand, propagated: equal to the tracker's own passes, and dependent on masks by hand alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from remembered_recording import RememberedRecording
from small_network import default_network, moving_things

from sam2_ros.annotation.propagation import HandMemory, memory_of, nearest, propagate
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.recordings.track import track
from sam2_ros.tracking import Prompt, Tracker, rle

FRAMES = 12
IMAGES, MASKS = moving_things(FRAMES)
TRUTH = [masks[0] for masks in MASKS]


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    return Tracker(default_network(), history=1, max_objects=1)


def memories(tracker: Tracker) -> Callable[[int], HandMemory]:
    return lambda frame: memory_of(tracker, tracker.encode(IMAGES[frame]), TRUTH[frame])


def propagated(
    tracker: Tracker, by_hand: dict[int, bool], start: int, span: range = range(FRAMES), damaged: tuple[int, ...] = ()
) -> dict[int, np.ndarray]:
    recording = RememberedRecording(IMAGES, damaged)
    answers = list(propagate(recording, tracker, 3, by_hand, memories(tracker), start, span))
    assert all(masklet.object_id == 3 for _, masklet in answers)
    assert len({frame for frame, _ in answers}) == len(answers)
    return {frame: masklet.mask for frame, masklet in answers}


def same(one: dict[int, np.ndarray], other: dict[int, np.ndarray]) -> bool:
    return all(np.array_equal(one[frame], other[frame]) for frame in one)


def test_from_one_mask_it_is_the_tracker_both_ways(tracker: Tracker, tmp_path: Path) -> None:
    with MaskletStore(tmp_path / "masklets.db", {}) as store:
        track(RememberedRecording(IMAGES), [ScheduledPrompt(5, Prompt(3, mask=TRUTH[5]))], tracker, store)
        expected = {mask.frame: rle.decode(mask.counts, 64, 64) for mask in store.masks_of(3)}
    found = propagated(tracker, {5: True}, 5)
    assert [*found] == [6, 7, 8, 9, 10, 11, 4, 3, 2, 1, 0] and sum(mask.any() for mask in found.values()) > 6
    assert np.array_equal(expected.pop(5), TRUTH[5]) and same(expected, found)


def test_what_follows_a_mask_by_hand_depends_on_masks_by_hand_alone(tracker: Tracker) -> None:
    by_hand = {2: True, 6: True, 9: True}
    from_first, from_second = propagated(tracker, by_hand, 2), propagated(tracker, by_hand, 6)
    assert [*from_first] == [3, 4, 5, 7, 8, 10, 11, 1, 0] and [*from_second] == [7, 8, 10, 11, 5, 4, 3, 1, 0]
    for frame in (7, 8, 10, 11, 0, 1):
        assert np.array_equal(from_first[frame], from_second[frame])
    assert not same({4: from_first[4]}, from_second), "forwards from 2, and backwards from 6"
    alone = propagated(tracker, {2: True}, 2)
    assert not same({3: alone[3]}, from_first), "masks by hand on later frames are memories as well"


def test_frame_by_hand_without_the_object_begins_anew(tracker: Tracker) -> None:
    found = propagated(tracker, {2: True, 6: False}, 2)
    assert 6 not in found and [*found] == [3, 4, 5, 7, 8, 9, 10, 11, 1, 0]
    tracker.reset()
    memory = memories(tracker)(2)
    tracker.reset()
    tracker.adopt(3, "", [(5, memory.map, memory.pointer)])
    assert np.array_equal(found[7], tracker.step(IMAGES[7]).masklets[0].mask), "without memories of 3, 4 and 5"
    assert same(found, propagated(tracker, {2: True, 6: False}, 2))


def test_part_of_the_recording_and_damaged_images(tracker: Tracker) -> None:
    whole = propagated(tracker, {5: True}, 5)
    part = propagated(tracker, {5: True}, 5, range(3, 8))
    assert [*part] == [6, 7, 4, 3] and same(part, whole)
    assert [*propagated(tracker, {5: True}, 5, range(5, 7))] == [6]
    assert [*propagated(tracker, {5: True}, 5, range(3, 8), damaged=(4, 6))] == [7, 3]


def test_cancelled_it_ends(tracker: Tracker) -> None:
    answers = []
    for answer in propagate(
        RememberedRecording(IMAGES),
        tracker,
        3,
        {0: True},
        memories(tracker),
        0,
        range(FRAMES),
        lambda: len(answers) > 2,
    ):
        answers.append(answer)
    assert [frame for frame, _ in answers] == [1, 2, 3]


def test_nearest_masks_by_hand_and_the_next_one_in_any_case() -> None:
    by_hand = [0, 10, 20, 30, 40, 100]
    assert nearest(by_hand, 20, 30) == [30, 20, 10, 0]
    assert nearest(by_hand, 40, 100) == [100, 40, 30, 20]
    assert nearest(by_hand, 100) == [100, 40, 30, 20] and nearest(by_hand, 25, count=2) == [20, 30]
    assert nearest([], 3) == []


def test_tiny_mask_is_remembered_by_its_box(tracker: Tracker) -> None:
    tiny = np.zeros((256, 256), bool)
    tiny[100, 100] = True
    image = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    memory = memory_of(tracker, tracker.encode(image), tiny)
    assert memory.map.isfinite().all() and memory.pointer.isfinite().all()
