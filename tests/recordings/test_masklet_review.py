"""Each reason for which automatic masklets are rejected, with masklets made for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sam2_ros.recordings.masklet_review import ReviewSettings, review
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.tracking.masklet import Masklet

SIZE, FRAMES = (30, 40), 20
SETTINGS = ReviewSettings(min_visible=5, min_iou=0.4, max_returns=0.1, max_jumps=0.1, duplicate_iou=0.7, max_filled=0.5)
EMPTY = np.zeros(SIZE, bool)


def square(left: int = 5, top: int = 5, side: int = 12, width: int = 0) -> np.ndarray:
    mask = EMPTY.copy()
    mask[top : top + side, left : left + (width or side)] = True
    return mask


def rejected(tmp_path: Path, *objects: list[np.ndarray], ious: tuple[float, ...] = ()) -> dict[int, str]:
    """What a review says of objects 1, 2, ... with these masks on the frames."""
    ious = ious or (0.8,) * len(objects)
    with MaskletStore(tmp_path / "masklets.db", {}) as store:
        for object_id in range(1, len(objects) + 1):
            store.add_object(object_id, "", 0)
        for frame in range(FRAMES):
            store.add_frame(frame, frame, *SIZE)
            for object_id, (masks, iou) in enumerate(zip(objects, ious, strict=True), 1):
                mask = masks[frame]
                store.add(frame, [Masklet(object_id, "", bool(mask.any()), 0.9, iou, mask)])
        review(store, SETTINGS)
        store.commit("review", 0, done=True)
        reasons = store.rejected
        accepted = set(range(1, len(objects) + 1)) - set(reasons)
        assert set(store.labels) == set(store.first_frames) == accepted
        assert all({mask.object_id for mask in frame.masks} == accepted for frame in store.frames())
        assert all(len(list(store.masks_of(object_id))) == FRAMES for object_id in reasons), "its masks are kept"
        return reasons


STEADY = [square() for _ in range(FRAMES)]
MOVING = [square(left=1 + frame) for frame in range(FRAMES)]


def test_steady_and_moving_objects_are_accepted(tmp_path: Path) -> None:
    hidden = [EMPTY if 5 <= frame < 12 else mask for frame, mask in enumerate(MOVING)]
    late = [EMPTY if frame < 10 else square(left=25, top=17) for frame in range(FRAMES)]
    assert rejected(tmp_path, [square(top=17, side=6)] * FRAMES, hidden, late) == {}


@pytest.mark.parametrize(
    ("reason", "masks", "iou"),
    [
        ("short-lived: visible on 4 of 20 images", [*STEADY[:4], *[EMPTY] * 16], 0.8),
        ("poor: a predicted IoU of 0.30 on average", STEADY, 0.3),
        ("flickers: it comes back 9 times, and is visible on 10 images", [STEADY[0], EMPTY] * 10, 0.8),
        (
            "drifts: its mask jumps 4 times, and is visible on 20 images",
            [square(left=25 * (frame // 4 % 2)) for frame in range(FRAMES)],
            0.8,
        ),
    ],
)
def test_fault_of_its_own(tmp_path: Path, reason: str, masks: list[np.ndarray], iou: float) -> None:
    assert rejected(tmp_path, masks, ious=(iou,)) == {1: reason}


def test_of_duplicates_the_better_rated_stays(tmp_path: Path) -> None:
    shifted = [square(left=6) for _ in range(FRAMES)]
    assert rejected(tmp_path, STEADY, shifted, ious=(0.7, 0.8)) == {
        1: "repeats object 2: an IoU of 0.85 on 20 images",
    }


def test_of_duplicates_one_that_lives_much_longer_stays(tmp_path: Path) -> None:
    """An object that was lost and found again, and then followed back to where it had been found first."""
    lost = [*MOVING[:8], *[EMPTY] * 12]
    assert list(rejected(tmp_path, lost, MOVING, ious=(0.9, 0.7))) == [1]


def test_objects_that_meet_are_no_duplicates(tmp_path: Path) -> None:
    other = [square(left=1 + frame, top=min(17, 5 + 3 * abs(frame - 10))) for frame in range(FRAMES)]
    assert rejected(tmp_path, MOVING, other) == {}


def test_what_covers_another_is_rejected(tmp_path: Path) -> None:
    wider = [square(width=18) for _ in range(FRAMES)]
    assert rejected(tmp_path, STEADY, wider, ious=(0.9, 0.8)) == {
        2: "covers object 1, which makes up most of it on 20 of 20 images",
    }


def test_a_whole_that_is_rated_better_than_its_part_stays(tmp_path: Path) -> None:
    wider = [square(width=18) for _ in range(FRAMES)]
    assert rejected(tmp_path, STEADY, wider, ious=(0.8, 0.9)) == {}


def test_whole_and_small_part_are_both_accepted(tmp_path: Path) -> None:
    part = [square(side=6) for _ in range(FRAMES)]
    assert rejected(tmp_path, STEADY, part, ious=(0.7, 0.8)) == {}


def test_settings_are_checked() -> None:
    for name in ("min_iou", "max_returns", "max_jumps", "duplicate_iou", "max_filled"):
        with pytest.raises(ValueError, match=f"{name} is 1.5"):
            ReviewSettings(**{name: 1.5})
    with pytest.raises(ValueError, match="min_visible is -1"):
        ReviewSettings(min_visible=-1)
