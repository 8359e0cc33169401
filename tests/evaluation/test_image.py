"""Single images: clicks, and the mean IoU after each."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_clips import make_clip

from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.image import CLICKS, ImageScore, image_report, segment
from sam2_ros.evaluation.report import Rows
from sam2_ros.tracking import Click, ImagePredictor


def rectangle(x, y, width, height):
    mask = np.zeros((40, 60), bool)
    mask[y : y + height, x : x + width] = True
    return mask


class FakePredictor:
    """Fake predictor, which returns prepared masks and records its arguments."""

    def __init__(self, *masks):
        self.masks, self.calls, self.images = list(masks), [], []

    def set_image(self, image):
        self.images.append(int(image[0, 0, 0]))

    def predict(self, clicks, mask_logits=None, multimask=True):
        self.calls.append((tuple(clicks), mask_logits, multimask))
        masks = [self.masks.pop(0) for _ in range(3 if multimask else 1)]
        return SimpleNamespace(masks=np.stack(masks), logits=torch.full((len(masks), 4, 4), 50.0 * len(self.calls)))


def clip_of(*masks, name="clip"):
    """One object; None where not annotated. An image's first value is its index."""
    images = [np.full((40, 60, 3), index, np.uint8) for index in range(len(masks))]
    return Clip(name, images, (7,), [None if mask is None else mask[None] for mask in masks])


def test_clicks_computed_by_hand():
    truth = rectangle(10, 10, 21, 21)
    wrong = rectangle(45, 28, 11, 11)
    chosen, single = rectangle(10, 10, 21, 11), rectangle(10, 10, 21, 7)
    predictor = FakePredictor(chosen, rectangle(10, 10, 21, 14), wrong, single, truth | wrong, truth)
    ((one,),) = segment(predictor, clip_of(truth))
    assert one.clicks == [Click(20, 20), Click(14, 25), Click(50, 33, False)]  # and no more: the mask equals the truth
    assert [call[0] for call in predictor.calls] == [tuple(one.clicks[:n]) for n in (1, 1, 2, 3)]
    assert [call[2] for call in predictor.calls] == [True, False, False, False]  # candidates for the first click alone
    first, _, *logits = [call[1] for call in predictor.calls]
    assert first is None and [float(earlier.max()) for earlier in logits] == [50, 150]  # the answer before
    assert one.score.clicks == pytest.approx([11 / 21, 441 / (441 + 121), 1, 1, 1])
    assert (one.score.best, one.score.single) == pytest.approx((14 / 21, 7 / 21))


def test_every_nth_annotated_frame_with_a_visible_object():
    thing, nothing = rectangle(5, 5, 9, 9), rectangle(0, 0, 0, 0)
    clip = clip_of(thing, None, thing, None, nothing, None, thing, thing)
    predictor = FakePredictor(*[thing] * 16)
    assert [objects[0].frame for objects in segment(predictor, clip)] == [0, 2, 6, 7]
    assert predictor.images == [0, 2, 6, 7]
    assert [objects[0].frame for objects in segment(FakePredictor(*[thing] * 12), clip, every=2)] == [0, 7]


def test_report_computed_by_hand():
    scores = {
        "motion-0": {
            (0, 1): ImageScore([0.1, 0.2, 0.3, 0.4, 0.5], best=0.2, single=0.1),
            (0, 2): ImageScore([0.3, 0.4, 0.5, 0.6, 0.7], best=0.4, single=0.2),
        },
        "small-0": {(3, 1): ImageScore([0.8, 0.9, 1.0, 1.0, 1.0], best=0.9, single=0.6)},
    }
    report = image_report({}, scores, Rows(["motion-0", "small-0"], {"motion-0": "motion", "small-0": "small"}))
    clips, challenges = report.tables
    assert clips.rows[0] == ("motion-0", ["1", "2", "20.0", "30.0", "40.0", "50.0", "60.0", "30.0", "15.0"])
    assert clips.rows[2] == ("all", ["2", "3", "40.0", "50.0", "60.0", "66.7", "73.3", "50.0", "30.0"])
    assert challenges.rows[1] == ("small", ["1", "1", "80.0", "90.0", "100.0", "100.0", "100.0", "90.0", "60.0"])
    assert report.curves.lines["motion"][1] == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.6])
    assert json.loads(report.json())["miou"] == [0.4, 0.5, 0.6, 0.66667, 0.73333]


def test_segments_with_a_network(model):
    clip = make_clip(frames=6)
    results = list(segment(ImagePredictor(model), clip, every=5))
    assert [[one.object_id for one in objects] for objects in results] == [[1, 2], [1, 2, 5]]  # 5 comes on frame 4
    for one in (one for objects in results for one in objects):
        assert len(one.score.clicks) == CLICKS and all(0 <= value <= 1 for value in one.score.clicks)
        assert one.score.clicks[0] <= one.score.best <= 1 and 0 <= one.score.single <= 1
        assert 1 <= len(one.clicks) == len(one.masks) <= CLICKS
