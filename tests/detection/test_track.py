"""A thing that a detector sees again and again. Stamps are seconds here."""

from __future__ import annotations

from sam2_ros.detection.track import DAMPING, Track
from sam2_ros.tracking.prompt import Box

SECOND = 1_000_000_000


def test_place_is_predicted_from_the_last_two_detections() -> None:
    track = Track("cup")
    assert track.predicted(0) is None
    assert not track.hit(Box(10, 20, 8, 6), 0, 1)
    assert not track.hit(Box(14, 18, 8, 6), SECOND // 5, 2)
    assert track.predicted(2 * SECOND // 5) == Box(14 + DAMPING * 4, 18 - DAMPING * 2, 8, 6)
    assert track.predicted(9 * SECOND) is None, "too long ago"
    assert not track.hit(Box(90, 18, 8, 6), 9 * SECOND, 3) and track.velocity == (0, 0)


def test_detector_frame_counts_once() -> None:
    track = Track("cup")
    assert [track.hit(Box(10, 20, 8, 6), number * SECOND, number) for number in (1, 2, 2, 4)] == [0, 0, 1, 0]
    assert [track.hits_since(number) for number in (1, 2, 3, 5)] == [3, 2, 1, 0]


def test_prompts_on_later_frames_are_known() -> None:
    track = Track("cup", 3)
    assert not track.is_after(0)
    track.prompted_at = 5
    assert track.is_after(4) and not track.is_after(5)
