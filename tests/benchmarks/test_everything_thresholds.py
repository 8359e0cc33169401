"""The sweep over thresholds, beside the generator with each of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from everything_thresholds import IOU_THRESHOLDS, Quality, candidates, qualities

from sam2_ros.checkpoints.load import load_model
from sam2_ros.evaluation.everything import search
from sam2_ros.scenes.synthetic import suite_scene
from sam2_ros.tracking import AutomaticMaskGenerator, EverythingSettings


@pytest.mark.parametrize(("stability", "nms"), [(0.3, 0.7), (0.6, 0.5)])
def test_equal_to_the_generator_with_these_thresholds(stability: float, nms: float) -> None:
    model = load_model(device="cpu", image_size=192)
    clip = suite_scene("lighting-100", frames=1)
    settings = EverythingSettings(
        points_per_side=8, pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=1, multimask_output=True
    )
    swept = qualities([candidates(AutomaticMaskGenerator(model, settings), clip)], stability, nms)
    for least in (0.3, 0.5):
        filtered = replace(settings, pred_iou_thresh=least, stability_score_thresh=stability, box_nms_thresh=nms)
        (expected,) = search(AutomaticMaskGenerator(model, filtered), clip)
        quality = swept[IOU_THRESHOLDS.tolist().index(least)]
        assert quality.masks == len(expected.masks) > 1
        assert quality.recall == expected.score.found / len(expected.score.object_ids)


def test_f_measure_by_hand() -> None:
    assert Quality(0.5, 0.5, 1).f(2) == pytest.approx(0.5)
    assert Quality(0.6, 0.2, 3).f(1) == pytest.approx(0.3)
    assert Quality(0.6, 0.2, 3).f(2) == pytest.approx(5 * 0.12 / 1.4)
    assert Quality(0, 0, 0).f(2) == 0
