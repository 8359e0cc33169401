"""The result of a demo: completeness and scores of a recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sam2_ros.data.clip import Clip
from sam2_ros.ros.demo.error import DemoError
from sam2_ros.ros.demo.result import evaluate
from sam2_ros.ros.demo.show import Show
from sam2_ros.ros.recording import Answer, Recording
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.prompt import Click, Prompt

SIZE = (20, 30)


def square(x: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[5:15, x : x + 10] = True
    return mask


def show(frames: int = 6) -> Show:
    truth = [np.stack((square(2 + index), square(18))) for index in range(frames)]
    clip = Clip("scene", [np.zeros((*SIZE, 3), np.uint8)] * frames, (1, 2), truth)
    return Show(Path("nowhere"), frames, 24.0, (Prompt(clicks=(Click(7, 10),), label="car"),), clip, truth_id=1)


def recording(frames: int = 6, object_id: int = 3, present: bool = True) -> Recording:
    """An object prompted on image 0, whose masklets had been sent already, with masklets from image 1 on."""
    result = Recording()
    for index in range(frames):
        stamp = 1000 + 10**6 * index
        result.images[stamp] = np.zeros(0, np.uint8)
        mask = square(2 + index) if present else np.zeros(SIZE, bool)
        masklets = (Masklet(object_id, "car", present, float(present), 1.0, mask),) if index else ()
        result.frames[stamp] = Frame(stamp, *SIZE, masklets)
        result.frames_received[stamp] = stamp + 40_000_000
    result.prompts = [(1000, 0)]
    result.answers = [Answer(1000, 5_000_000, object_id, True, "")]
    return result


def test_scores_the_clicked_object() -> None:
    result = evaluate(recording(), show())
    assert (result.total.objects, result.total.frames, result.total.j_and_f) == (1, 4, 1)
    assert (result.prompted, result.answers[0].object_id, result.answer_ms) == (0, 3, 5)
    assert result.recording.latencies == pytest.approx([40] * 6)


def test_missing_masklet_lowers_the_score() -> None:
    late = recording()
    late.frames[1_001_000] = Frame(1_001_000, *SIZE, ())
    assert evaluate(late, show()).total.j == pytest.approx(3 / 4)


def without(stamp: int, part: str) -> Recording:
    result = recording()
    getattr(result, part).pop(stamp)
    return result


def answered(*answers: Answer) -> Recording:
    result = recording()
    result.answers = list(answers)
    return result


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (without(3_001_000, "images"), "5 images of 6"),
        (without(3_001_000, "frames"), "no masklets came for 1 of 6 images"),
        (answered(), "1 of 1 prompts were not answered"),
        (answered(Answer(1000, 0, 0, False, "too dark")), "refused: too dark"),
        (recording(present=False), "masks are missing"),
    ],
)
def test_incomplete_recording_error_names_the_missing_part(bad: Recording, reason: str) -> None:
    with pytest.raises(DemoError, match=reason):
        evaluate(bad, show())
