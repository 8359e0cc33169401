"""A clip in memory as a recording."""

from __future__ import annotations

import numpy as np
from small_clips import make_clip

from sam2_ros.recordings.clip_recording import ClipRecording


def test_images_are_those_of_the_clip() -> None:
    clip = make_clip(frames=5, fps=10.0)
    recording = ClipRecording(clip)
    assert len(recording) == 5 and recording.fps == 10 and recording.name == "walk"
    for image, expected in zip(recording.images(), clip.frames, strict=True):
        assert image.stamp == 1_000_000_000 + image.index * 100_000_000
        np.testing.assert_array_equal(image.pixels, expected)
    assert [image.index for image in recording.images_backwards(3, 1)] == [3, 2, 1]


def test_other_images_have_another_fingerprint() -> None:
    one, same, other = (ClipRecording(make_clip(name)) for name in ("walk", "walk", "run"))
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
