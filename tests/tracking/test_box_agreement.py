"""The answer to a box is the mask that touches all of its sides."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from sam2_ros.checkpoints.load import load_model
from sam2_ros.evaluation.prompts import tight_box
from sam2_ros.evaluation.region_boundary import region_similarity
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import ABSENT_LOGIT, SAM2, Decoded
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.tracking.box_agreement import OUTSIDE, fitted_to_box
from sam2_ros.tracking.image_predictor import ImagePredictor
from sam2_ros.tracking.prompt import Box, Click, Prompt
from sam2_ros.tracking.tracker import Tracker

HEIGHT, WIDTH = 80, 160
"""Of the image; four pixels are a cell of the logits."""
BOX = Box(40, 20, 80, 40)


@cache
def model() -> SAM2:
    return load_model()


def decoded(*masks: tuple[int, int, int, int], iou: float | tuple[float, ...] = 0.5, presence: float = 4.0) -> Decoded:
    """Masks that are rectangles: left, top, right, bottom in pixels; the first one is the single mask."""
    logits = torch.full((1, 4, HEIGHT // 4, WIDTH // 4), -3.0)
    for mask, (left, top, right, bottom) in zip(logits[0], masks, strict=False):
        mask[top // 4 : bottom // 4, left // 4 : right // 4] = 3.0
    ious = torch.full((1, 4), iou) if isinstance(iou, float) else torch.tensor([iou])
    score = torch.tensor([presence])
    return Decoded(logits[:, 0], logits[:, 0], ious[:, 0], score, torch.zeros(1, 8), logits, ious)


def test_the_mask_that_fills_the_box_is_chosen() -> None:
    answer = decoded((40, 20, 80, 60), (40, 20, 120, 60), (0, 0, 160, 80), iou=(0.6, 0.5, 0.2, 0.5))
    fitted = fitted_to_box(answer, BOX, HEIGHT, WIDTH)
    assert torch.equal(fitted.mask_logits > 0, answer.all_logits[:, 1] > 0)
    assert fitted.iou.tolist() == [0.5] and fitted.pointer is answer.pointer


def test_predicted_iou_decides_between_masks_that_agree_alike() -> None:
    answer = decoded((40, 20, 120, 60), (40, 20, 120, 60), iou=(0.3, 0.7, 0.0, 0.0))
    assert fitted_to_box(answer, BOX, HEIGHT, WIDTH).iou.item() == pytest.approx(0.7)


def test_what_leaves_the_box_is_cut_off() -> None:
    fitted = fitted_to_box(decoded(*4 * [(0, 0, 160, 80)]), BOX, HEIGHT, WIDTH)
    inside = fitted.visible_logits[0] > 0
    assert inside[5:15, 9:31].all() and inside.sum() == 10 * 22, "a twentieth of its sides is left around the box"
    assert (fitted.visible_logits[0][~inside] == OUTSIDE).all()


def test_masks_outside_the_box_change_nothing() -> None:
    answer = decoded(*4 * [(140, 60, 160, 80)])
    assert fitted_to_box(answer, BOX, HEIGHT, WIDTH) is answer
    assert fitted_to_box(decoded(), BOX, HEIGHT, WIDTH).mask_logits.max() < 0


def test_an_absent_object_stays_absent() -> None:
    fitted = fitted_to_box(decoded((40, 20, 120, 60), presence=-1.0), BOX, HEIGHT, WIDTH)
    assert (fitted.mask_logits == ABSENT_LOGIT).all() and (fitted.visible_logits > 0).any()


@cache
def boxed_things() -> list[tuple[np.ndarray, np.ndarray]]:
    """Images, and in each a thing with parts that differ: its mask."""
    scenes = SyntheticScenes(SceneSettings(240, 320, frames=1, objects=(2, 4)))
    drawn = [scenes.scene(seed) for seed in range(2**41 + 100, 2**41 + 116)]
    return [(scene.frames[0], mask) for scene in drawn for mask in scene.masks[0] if mask.mean() > 0.03]


def answers(agreement: bool) -> list[float]:
    own = model()
    own.config = replace(own.config, box_agreement=agreement)
    tracker = Tracker(own)
    overlaps = []
    for image, truth in boxed_things():
        tracker.reset()
        tracker.step(image)
        overlaps.append(region_similarity(tracker.prompt(Prompt(box=tight_box(truth))).mask, truth))
    own.config = CONFIGS["default"]
    return overlaps


def test_boxed_things_get_better_masks() -> None:
    single, agreeing = answers(False), answers(True)
    assert len(single) > 20 and np.mean(agreeing) > np.mean(single)


def test_image_predictor_answers_as_the_tracker_does() -> None:
    image, truth = boxed_things()[0]
    tracker, predictor = Tracker(model()), ImagePredictor(model())
    tracker.step(image)
    predictor.set_image(image)
    prompt = Prompt(box=tight_box(truth))
    own = predictor.segment(prompt).masks[0]
    assert region_similarity(tracker.prompt(prompt).mask, own) > 0.98, "but for holes"


def test_clicks_go_beyond_the_box() -> None:
    """A click beside the box says that the thing is larger: nothing is cut off then."""
    image, truth = boxed_things()[0]
    box = tight_box(truth)
    half = Box(box.x, box.y, box.width / 2, box.height)
    tracker = Tracker(model())
    tracker.step(image)
    tracker.prompt(Prompt(object_id=1, box=half))
    right = np.argwhere(truth & (np.arange(truth.shape[1]) > box.x + 0.8 * box.width))
    y, x = right[len(right) // 2]
    mask = tracker.prompt(Prompt(object_id=1, clicks=[Click(x + 0.5, y + 0.5)])).mask
    assert mask[:, int(box.x + 0.6 * box.width) :].any()


def test_released_models_take_the_single_mask() -> None:
    assert [name for name, config in CONFIGS.items() if config.box_agreement] == ["default"]
