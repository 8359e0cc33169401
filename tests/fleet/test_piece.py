"""Recordings as pieces."""

from __future__ import annotations

import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.fleet.piece import stretches
from sam2_ros.recordings.clip_recording import ClipRecording


def recording(frames: int) -> ClipRecording:
    return ClipRecording(Clip("run", [np.zeros((4, 4, 3), np.uint8)] * frames, (), [None] * frames, 10.0))


def test_whole_recording_is_one_piece() -> None:
    for seconds in (None, 100.0, 4.0):
        (piece,) = stretches(recording(25), "run", seconds)
        assert (piece.name, piece.images, piece.start, piece.stop) == ("run", 25, None, None)


def test_stretches_are_nearly_equal_and_cover_every_image_once() -> None:
    pieces = stretches(recording(25), "run", 0.8)
    assert [piece.name for piece in pieces] == ["run/000000-000007", "run/000008-000015", "run/000016-000024"]
    images = [image for piece in pieces for image in range(piece.start or 0, piece.stop or 0)]
    assert images == [*range(25)] and [piece.images for piece in pieces] == [8, 8, 9]


def test_stretch_has_at_least_one_image() -> None:
    assert len(stretches(recording(3), "run", 0.001)) == 3
