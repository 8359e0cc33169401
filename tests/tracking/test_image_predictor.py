"""Prompts as trackers get them, on single images."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_ros.tracking import Box, Click, ImagePredictor, Prompt, PromptError, Tracker

MASK = np.zeros((60, 80), bool)
MASK[20:50, 10:40] = True


@pytest.fixture
def predictor(model, images) -> ImagePredictor:
    predictor = ImagePredictor(model)
    predictor.set_image(images[0])
    return predictor


def test_image_that_a_tracker_has_encoded(model, images, predictor) -> None:
    tracker = Tracker(model)
    other = ImagePredictor(tracker.network)
    other.set_image(tracker.encode(images[0]))
    one, same = (each.segment(Prompt(clicks=[Click(20, 30)])) for each in (predictor, other))
    assert np.array_equal(one.masks, same.masks) and one.iou == pytest.approx(same.iou, abs=1e-5)


@pytest.mark.parametrize(
    ("prompt", "number"),
    [
        (Prompt(clicks=[Click(20, 30)]), 3),
        (Prompt(clicks=[Click(20, 30), Click(5, 5, False)]), 1),
        (Prompt(box=Box(10, 20, 30, 30)), 1),
        (Prompt(box=Box(10, 20, 30, 30), clicks=[Click(20, 30)]), 1),
        (Prompt(clicks=[Click(20, 30)], mask=MASK), 1),
        (Prompt(clicks=[Click(20, 30, False)], mask=MASK), 1),
    ],
)
def test_single_click_has_three_candidates(predictor, prompt, number) -> None:
    found = predictor.segment(prompt)
    assert found.masks.shape == (number, 60, 80) and list(found.iou) == sorted(found.iou, reverse=True)


def test_mask_is_what_clicks_correct(predictor) -> None:
    click = [Click(20, 30)]
    with_mask = predictor.segment(Prompt(clicks=click, mask=MASK))
    without = predictor.predict(click, multimask=False)
    assert float((with_mask.logits - without.logits).abs().max()) > 1e-3


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        (Prompt(mask=MASK), "a mask alone says nothing new"),
        (Prompt(clicks=[Click(20, 30, False)]), "only negative clicks"),
        (Prompt(), "the prompt is empty"),
        (Prompt(clicks=[Click(80, 30)]), "outside the image"),
        (Prompt(clicks=[Click(20, 30)], mask=MASK[1:]), "must have the same size"),
    ],
)
def test_prompts_that_cannot_be_followed(predictor, prompt, reason) -> None:
    with pytest.raises(PromptError, match=reason):
        predictor.segment(prompt)


def test_image_comes_first(model) -> None:
    with pytest.raises(PromptError, match="call set_image first"):
        ImagePredictor(model).segment(Prompt(clicks=[Click(20, 30)]))
