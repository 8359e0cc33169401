"""Stored frames and answers."""

from __future__ import annotations

import pytest
import torch

from sam2_ros.model.sam2 import ImageFeatures
from sam2_ros.tracking.encoded_image import EncodedImage
from sam2_ros.tracking.history import Answer, History, HistoryFrame, StampError
from sam2_ros.tracking.prompt import PromptError

IMAGE = EncodedImage(60, 80, ImageFeatures(*(torch.zeros(1, 1, 16 // s, 24 // s) for s in (1, 2, 4))))


def answer(value: float = 0.0) -> Answer:
    return Answer(torch.full((16, 24), value), 0.5, 1.0)


def history(*stamps: int, max_frames: int = 4) -> History:
    """A history with an answer for object 1 on every frame."""
    history = History(max_frames)
    for stamp in stamps:
        history.append(HistoryFrame(history.next_index, history.next_stamp(stamp), IMAGE, {1: answer(stamp)}))
    return history


def test_encoded_image_has_the_input_size() -> None:
    assert IMAGE.grid == (4, 6) and IMAGE.input_size == (64, 96)


def test_the_oldest_frames_are_dropped() -> None:
    full = history(10, 20, 30, 40, 50, 60)
    assert full.stamps == (30, 40, 50, 60) and len(full) == 4
    assert [frame.index for frame in full] == [2, 3, 4, 5] and full.next_index == 6
    assert full.newest.stamp == 60 and full.with_index(3).stamp == 40
    with pytest.raises(KeyError):
        full.with_index(1)
    full.clear()
    assert not len(full) and full.next_index == 0 and full.next_stamp(5) == 5


def test_stamps_must_ascend() -> None:
    empty = History(2)
    assert empty.next_stamp() == 0 and empty.next_stamp(-7) == -7
    assert history(10).next_stamp() == 11
    for stamp in (10, 9, 11.5, "12"):
        with pytest.raises(StampError):
            history(10).next_stamp(stamp)


@pytest.mark.parametrize(("stamp", "nearest"), [(10, 10), (14, 10), (16, 20), (30, 30), (None, 30)])
def test_nearest_frame(stamp: int | None, nearest: int) -> None:
    assert history(10, 20, 30).nearest(stamp).stamp == nearest


def test_stamps_outside_the_history_are_refused() -> None:
    for frames, stamp, reason in (
        (History(4), None, "no image"),
        (history(10, 20), 9, "history of 2 frames"),
        (history(10, 20), 21, "not been seen yet"),
        (history(10, 20), 10.5, "whole number"),
    ):
        with pytest.raises(PromptError, match=reason):
            frames.nearest(stamp)


def test_wrong_stamps_are_corrected() -> None:
    frames = history(10, 20, 900, 910)
    for stamps, reason in (((), "0 other"), ((1,) * 5, "only 4"), ((20, 30), "not after"), ((30, 30), "not after")):
        with pytest.raises(StampError, match=reason):
            frames.restamp(stamps)
        assert frames.stamps == (10, 20, 900, 910)
    frames.restamp((28, 29))
    assert frames.stamps == (10, 20, 28, 29) and [frame.index for frame in frames] == [0, 1, 2, 3]
    frames.append(HistoryFrame(frames.next_index, 30, IMAGE))
    assert frames.stamps == (20, 28, 29, 30), "it is still bounded"


def test_with_answers_leaves_the_history_unchanged() -> None:
    frames = history(10, 20, 30)
    changed = frames.with_answers(1, {1: answer(5.0), 2: None})
    assert [float(frame.answers[1].logits[0, 0]) for frame in frames] == [10, 20, 30]
    assert [1 in frame.answers for frame in changed] == [True, True, False]
    assert float(changed.with_index(1).answers[1].logits[0, 0]) == 5.0 and changed.next_index == 3
    added = frames.with_answers(2, {2: answer()})
    assert [sorted(frame.answers) for frame in added] == [[1], [1], [1, 2]]


def test_answers_of_a_removed_object_are_forgotten() -> None:
    frames = history(10, 20).with_answers(2, {0: answer()})
    frames.forget(1)
    assert [sorted(frame.answers) for frame in frames] == [[2], []]
