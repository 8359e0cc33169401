"""Scores of whole clips, counted by hand and by a public tool."""

import math
from dataclasses import replace

import numpy as np
import pytest

from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.scores import score, summary
from sam2_ros.tracking.masklet import Frame, Masklet

SIZE = (40, 60)
NOTHING = np.zeros(SIZE, bool)


def square(x, y=10, side=12):
    mask = np.zeros(SIZE, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def clip_of(*objects, annotated=None):
    """Truth: for each object the masks of all frames."""
    masks = [np.stack(masks) for masks in zip(*objects, strict=True)]
    if annotated is not None:
        masks = [mask if index in annotated else None for index, mask in enumerate(masks)]
    image = np.zeros((*SIZE, 3), np.uint8)
    return Clip("clip", [image] * len(masks), tuple(range(1, len(objects) + 1)), masks)


def answers(*objects):
    def masklet(object_id, mask):
        return Masklet(object_id, "", bool(mask.any()), float(mask.any()), 1.0, mask)

    return [
        Frame(t, *SIZE, tuple(masklet(i + 1, masks[t]) for i, masks in enumerate(objects) if masks[t] is not None))
        for t in range(len(objects[0]))
    ]


def test_perfect_masks_score_one():
    truth = [square(5 + t) for t in range(6)]
    (one,) = score(clip_of(truth), answers(truth))
    assert [frame.frame for frame in one.frames] == [1, 2, 3, 4]  # neither the prompted nor the last one
    total = summary([one])
    assert (total.j, total.f, total.j_and_f, total.presence_f1, total.switches) == (1, 1, 1, 1, 0)


def test_scored_frames():
    late = [NOTHING, NOTHING, *(square(5) for _ in range(6))]
    clip = clip_of([square(30)] * 8, late, annotated={0, 2, 4, 5, 6})
    first, second = score(clip, answers([square(30)] * 8, [NOTHING] * 8))
    assert [frame.frame for frame in first.frames] == [2, 4, 5]  # 6 is the last annotated frame
    assert [frame.frame for frame in second.frames] == [4, 5]  # it appears on frame 2
    first, second = score(clip, answers([square(30)] * 8, [NOTHING] * 8), prompted={1: 3, 2: 4})
    assert [frame.frame for frame in first.frames] == [4, 5]
    assert [frame.frame for frame in second.frames] == [5]


def test_object_without_masklet_counts_as_absent():
    (one,) = score(clip_of([square(5)] * 5), answers([None] * 5))
    assert (one.j, one.f) == (0, 0)
    total = summary([one])
    assert total.presence_recall == 0 and math.isnan(total.presence_precision)


def test_unknown_frames_do_not_count():
    truth = clip_of([square(5)] * 4 + [NOTHING] * 4, [NOTHING] * 3 + [square(30)] * 5)
    known = np.array([[t not in (2, 5), t >= 3] for t in range(8)])
    first, second = score(replace(truth, known=known), answers([square(5)] * 8, [None] * 3 + [square(30)] * 5))
    assert [frame.frame for frame in first.frames] == [1, 3, 4, 6]
    assert [frame.frame for frame in second.frames] == [4, 5, 6] and second.start == 3
    assert first.j == 2 / 4 and second.j == 1


def test_presence():
    # Frame 0 is the prompt's, frame 9 the last. Visible: 1-4, 8. Predicted: 1-3, 5, 8.
    truth = [square(5) if t in (0, 1, 2, 3, 4, 8, 9) else NOTHING for t in range(10)]
    predicted = [square(5) if t in (0, 1, 2, 3, 5, 8) else NOTHING for t in range(10)]
    total = summary(score(clip_of(truth), answers(predicted)))
    assert total.frames == 8
    assert total.presence_precision == pytest.approx(4 / 5)
    assert total.presence_recall == pytest.approx(4 / 5)
    assert total.presence_f1 == pytest.approx(4 / 5)
    assert total.j == pytest.approx(6 / 8)  # right on 1-3, 8, and on 6 and 7, where both are absent


def test_id_switches():
    left, right = [square(3)] * 9, [square(40)] * 9
    #          prompt                      over               lost     still over           back          last
    masks = [square(3), square(3), square(40), NOTHING, square(40), square(20), square(4), square(3), square(40)]
    first, second = score(clip_of(left, right), answers(masks, right))
    assert [frame.following for frame in first.frames] == [1, 2, None, 2, None, 1, 1]
    assert first.switches == 2  # over and back; not: lost, on the background, the frame that does not count
    assert second.switches == 0


def test_objects_have_equal_weights():
    short = [NOTHING] * 7 + [square(5)] * 3
    clip = clip_of([square(30)] * 10, short)
    total = summary(score(clip, answers([square(30)] * 10, [NOTHING] * 10)))
    assert total.j == pytest.approx(0.5)


def test_equals_public_tool():
    evaluator = pytest.importorskip("vos_benchmark.evaluator")
    rng = np.random.default_rng(1)
    truth = [[square(3 + 2 * t) for t in range(12)], [square(40, 25 - 2 * t, 10) for t in range(12)]]
    predicted = [[np.roll(m, tuple(rng.integers(-3, 4, 2)), (0, 1)) for m in masks] for masks in truth]
    predicted[1][5] = NOTHING
    # The tool's files have one ID for each pixel.
    predicted[0] = [a & ~b for a, b in zip(predicted[0], predicted[1], strict=True)]
    tool = evaluator.Evaluator()
    for t in range(1, 11):
        labels = [masks[0][t] + 2 * masks[1][t].astype(np.uint8) for masks in (predicted, truth)]
        tool.feed_frame(*labels)
    j, f = tool.conclude()
    scores = score(clip_of(*truth), answers(*predicted))
    assert [100 * one.j for one in scores] == pytest.approx([j[1], j[2]], abs=1e-6)
    assert [100 * one.f for one in scores] == pytest.approx([f[1], f[2]], abs=1e-6)
    assert 100 * summary(scores).j == pytest.approx((j[1] + j[2]) / 2, abs=1e-6)


def test_frames_counted_differently_by_the_public_tool():
    """As docs/metrics.md says: an object, from the first scored frame on which truth or answer shows it."""
    evaluator = pytest.importorskip("vos_benchmark.evaluator")

    def both(truth, predicted):
        tool = evaluator.Evaluator()
        for t in range(1, len(truth) - 1):
            tool.feed_frame(predicted[t].astype(np.uint8), truth[t].astype(np.uint8))
        theirs = tool.conclude()[0].get(1, math.nan) / 100
        return score(clip_of(truth), answers(predicted))[0].j, theirs

    left, half = square(5), square(5, side=6)  # IoU 1 / 4
    hidden = [left, NOTHING, NOTHING, left, left, left]
    assert both(hidden, [left, NOTHING, NOTHING, half, half, left]) == ((1 + 1 + 2 / 4) / 4, 1 / 4)
    assert both(hidden, [left, left, NOTHING, half, half, left]) == ((0 + 1 + 2 / 4) / 4, (0 + 1 + 2 / 4) / 4)
    late = [NOTHING, NOTHING, left, left, left, left]
    assert both(late, [NOTHING, NOTHING, left, half, half, left]) == (1 / 4, (1 + 2 / 4) / 3)
    assert both(late, [NOTHING, left, left, half, half, left]) == (1 / 4, (0 + 1 + 2 / 4) / 4)
    assert both([left, left, left, NOTHING, left, left], [half] * 6) == (3 / 4 / 4, 3 / 4 / 4)
    gone = both([left] + [NOTHING] * 5, [left] + [NOTHING] * 5)
    assert gone[0] == 1 and math.isnan(gone[1])


def test_number_of_predictions_must_match_the_clip():
    with pytest.raises(ValueError, match="argument"):
        score(clip_of([square(5)] * 5), answers([square(5)] * 4))
