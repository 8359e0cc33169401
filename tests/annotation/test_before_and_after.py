"""The same clips with the weights before and after a training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_clips import make_clip
from small_network import default_network

from sam2_ros.annotation.before_and_after import AFTER, BEFORE, before_and_after
from sam2_ros.data.clips import ClipError, Lazy
from sam2_ros.evaluation.scores import score, summary
from sam2_ros.evaluation.vos import follow
from sam2_ros.tracking.tracker import Tracker


@pytest.mark.slow
def test_scores_are_those_of_the_evaluation() -> None:
    clips = [make_clip("one", 5), make_clip("two", 6, ids=(1, 2))]
    before, after = default_network(), default_network()
    with torch.no_grad():
        after.no_mem_embed += 1.0
        after.sam_mask_decoder.iou_prediction_head.layers[-1].bias += torch.tensor([0.0, 0.0, 9.0, 0.0])
    shares: list[float] = []
    compared = before_and_after(before, after, clips, "box", shares.append)
    assert compared is not None and shares == sorted(shares) and shares[-1] == 1.0
    for when, model in ((BEFORE, before), (AFTER, after)):
        tracker = Tracker(model, history=1)
        expected = [
            one for clip in clips for one in score(clip, (frame["box"] for frame in follow(tracker, clip, ["box"])))
        ]
        assert compared.summary(when) == summary(expected)
    assert compared.gain == compared.summary(AFTER).j_and_f - compared.summary(BEFORE).j_and_f != 0
    gains = [
        after.j_and_f - before.j_and_f
        for before, after in zip(*(compared.scores[when] for when in (BEFORE, AFTER)), strict=True)
        if before.frames
    ]
    assert compared.uncertainty == pytest.approx(np.std(gains, ddof=1) / len(gains) ** 0.5)

    report = compared.report({"model": "small"}, ["A note."])
    weights, recordings = report.tables
    assert [name for name, _ in weights.rows] == ["before", "after"]
    assert [name for name, _ in recordings.rows] == ["one", "two", "all"]
    assert recordings.rows[-1][1][1:] == [f"{100 * compared.summary(when).j_and_f:.1f}" for when in (BEFORE, AFTER)]
    assert "A note." in report.markdown()


def test_a_damaged_clip_is_left_out() -> None:
    def image(index: int) -> np.ndarray:
        if index == 2:
            raise ClipError("bad", "is cut", index)
        return make_clip().frames[index]

    damaged = replace(make_clip("bad", 4), frames=Lazy(4, image))
    compared = before_and_after(default_network(), default_network(), [damaged, make_clip("good", 4)])
    assert compared is not None and [str(error) for error in compared.skipped] == ["bad, frame 2: is cut"]
    assert {one.clip for one in compared.scores[AFTER]} == {"good"}
    with pytest.raises(ClipError, match="is cut"):
        before_and_after(default_network(), default_network(), [damaged])


def test_it_can_be_cancelled() -> None:
    assert before_and_after(default_network(), default_network(), [make_clip()], cancelled=lambda: True) is None


def test_clips_with_unknown_masks_are_pictured() -> None:
    clip = make_clip("gaps", 9, every=4)
    known = np.ones((9, 3), bool)
    known[4, 0] = False
    compared = before_and_after(default_network(), default_network(), [replace(clip, known=known)])
    assert compared is not None
    first = next(one for one in compared.scores[BEFORE] if one.object_id == 1)
    assert [frame.frame for frame in first.frames] == []  # frame 4 is unknown, 8 the last
    assert compared.picture.dtype == np.uint8 and compared.picture.ndim == 3
