"""A clip checks that its parts fit together."""

import numpy as np
import pytest

from sam2_ros.data.clip import Clip

FRAMES = [np.zeros((4, 6, 3), np.uint8)] * 2
MASKS = [np.zeros((1, 4, 6), bool), None]


def test_a_clip_has_a_length():
    assert len(Clip("a", FRAMES, (1,), MASKS)) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"masks": MASKS[:1]}, "2 frames but 1"),
        ({"object_ids": (2, 1)}, "ascending"),
        ({"object_ids": (1, 1)}, "ascending"),
        ({"object_ids": (0,)}, "positive"),
        ({"fps": 0.0}, "frame rate"),
        ({"fps": float("nan")}, "frame rate"),
        ({"known": np.ones((1, 2), bool)}, r"\[frames, objects\], got \(1, 2\)"),
    ],
)
def test_invalid_clips(changes, words):
    fields = {"name": "a", "frames": FRAMES, "object_ids": (1,), "masks": MASKS, "fps": 24.0} | changes
    with pytest.raises(ValueError, match=words):
        Clip(**fields)


def test_frames_with_unknown_masks_are_not_complete():
    known = np.array([[True, True], [False, True]])
    masks = [np.zeros((2, 4, 6), bool)] * 2
    assert [Clip("a", FRAMES, (1, 2), masks, known=known).is_complete(frame) for frame in (0, 1)] == [True, False]
    assert Clip("a", FRAMES, (1, 2), masks).is_complete(1)
