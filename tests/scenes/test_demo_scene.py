"""The story of the demo scene: the car is visible, hidden, away, and back."""

import numpy as np

from sam2_ros.scenes.demo_scene import CAR, NAMES, TWIN, demo_scene


def test_story_of_the_demo_scene():
    clip = demo_scene()
    assert len(clip) == 240 and clip.fps == 24 and clip.frames[0].shape == (480, 640, 3)
    assert clip.object_ids == tuple(NAMES)
    area = np.stack([masks.sum((1, 2)) for masks in clip.masks])
    car, twin = area[:, clip.object_ids.index(CAR)], area[:, clip.object_ids.index(TWIN)]
    assert car[0] > 5000 and twin[0] > 2000
    y, x = np.nonzero(clip.masks[0][0])
    assert clip.masks[0][0][round(y.mean()), round(x.mean())], "a click in the middle of the car hits it"
    assert (car[60:85] == 0).any(), "hidden behind the pot"
    assert (car[90:110] > 1000).all(), "out again on the other side"
    assert (car[118:148] == 0).all(), "away"
    assert (car[165:180] > 5000).all(), "back"
    assert twin[-1] == 0, "its look-alike left for good"


def test_shorter_clips_are_the_beginning():
    short, full = demo_scene(3), demo_scene(5)
    assert len(short) == 3
    assert all(np.array_equal(a, b) for a, b in zip(short.frames, full.frames[:3], strict=True))
