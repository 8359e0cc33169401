"""Small things that are prompted are looked at in a window around them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from sam2_ros.checkpoints.load import load_model
from sam2_ros.evaluation.prompts import prompt_object, tight_box
from sam2_ros.evaluation.region_boundary import region_similarity
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.tracking.closer_look import CloserLook, is_better, pixels_for, window_around
from sam2_ros.tracking.crops import Crop
from sam2_ros.tracking.image_predictor import ImagePredictor
from sam2_ros.tracking.prompt import Box, Click, Prompt
from sam2_ros.tracking.tracker import Tracker

DEFAULT = CONFIGS["default"]


@cache
def model() -> SAM2:
    return load_model()


@cache
def small_things() -> list[tuple[np.ndarray, np.ndarray]]:
    """Images, and in each a thing that covers less than 1 %: its mask."""
    scenes = SyntheticScenes(SceneSettings(480, 640, frames=1, objects=(2, 4)))
    found = []
    for seed in range(2**41, 2**41 + 24):
        scene = scenes.scene(seed)
        found += [(scene.frames[0], mask) for mask in scene.masks[0] if 0.001 < mask.mean() < 0.01]
    return found


def answered(image: np.ndarray, prompt: Prompt, closer_look: bool | None = None) -> Tracker:
    tracker = Tracker(model(), closer_look=closer_look)
    tracker.step(image)
    tracker.prompt(prompt)
    return tracker


def mask_of(tracker: Tracker) -> np.ndarray:
    assert tracker.newest is not None
    return tracker.newest.masklets[0].mask


@pytest.mark.parametrize("kind", ["click", "box", "3clicks"])
def test_small_things_get_better_masks(kind: str) -> None:
    overlaps: dict[bool, list[float]] = {False: [], True: []}
    for closer_look, ious in overlaps.items():
        tracker = Tracker(model(), closer_look=closer_look)
        for image, truth in small_things():
            tracker.reset()
            tracker.step(image)
            ious.append(region_similarity(prompt_object(tracker, kind, 1, truth).mask, truth))
    assert len(small_things()) >= 8
    least = 0.0 if kind == "box" else 0.03  # the mask that fits a box best is good on the whole image, too
    assert np.mean(overlaps[True]) > np.mean(overlaps[False]) + least


def test_answers_that_are_large_or_far_less_sure_are_left() -> None:
    small, large = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    small[:10, :10], large[:20, :20] = True, True
    assert is_better(small, None, iou=0.3, whole_iou=0.35)
    assert not is_better(small, None, iou=0.05, whole_iou=0.2)
    assert not is_better(large, None, iou=0.9, whole_iou=0.1)
    assert not is_better(np.zeros_like(small), None, iou=0.9, whole_iou=0.1)
    box = Box(0, 0, 10, 10)
    assert is_better(large, box, iou=0.1, whole_iou=0.9), "a box says how large its thing is"
    assert not is_better(np.zeros_like(small), box, iou=0.9, whole_iou=0.1)


def test_of_large_things_the_answer_is_the_same() -> None:
    scene = SyntheticScenes(SceneSettings(480, 640, frames=1, objects=(4, 4))).scene(2**41 + 1)
    truth = max(scene.masks[0], key=np.count_nonzero)
    assert max(tight_box(truth)[2:]) > 0.3 * 640
    prompt = Prompt(box=tight_box(truth))
    without = answered(scene.frames[0], prompt, False)
    np.testing.assert_array_equal(mask_of(answered(scene.frames[0], prompt, True)), mask_of(without))


def test_released_models_look_as_the_paper_does() -> None:
    assert [name for name, config in CONFIGS.items() if config.closer_look] == ["default"]
    tracker = Tracker(model(), closer_look=False)
    image, _ = small_things()[0]
    assert tracker.encode(image).pixels is None, "nothing is kept for nothing"


@pytest.mark.parametrize("value", [1, "on", 0.5])
def test_closer_look_is_true_or_false(value: object) -> None:
    with pytest.raises(ValueError, match=r"closer_look is .* True, False or None"):
        Tracker(model(), closer_look=value)  # type: ignore[arg-type]


def test_clicks_outside_the_window_begin_anew() -> None:
    tracker = Tracker(model())
    image, truth = small_things()[0]
    tracker.step(image)
    prompt_object(tracker, "click", 1, truth)
    window = _closer_look(tracker).window
    inside = (window.left + 2, window.top + 2, False)
    tracker.prompt(Prompt(1, clicks=[inside]))
    assert _closer_look(tracker).window == window
    outside = (window.left - 2 if window.left else window.right + 2, window.top + 2, False)
    tracker.prompt(Prompt(1, clicks=[outside]))
    answer = tracker.history.newest.answers[1]
    assert answer.closer_look is None or answer.closer_look.window != window


def test_an_old_frame_is_looked_at_as_it_was() -> None:
    image, truth = small_things()[0]
    other, _ = small_things()[-1]
    prompt = Prompt(box=tight_box(truth))
    tracker = Tracker(model())
    shown = image.copy()
    tracker.step(shown, 1)
    shown[:] = 0  # a camera's driver writes into the same memory again
    tracker.step(other, 2)
    np.testing.assert_array_equal(tracker.prompt(prompt, 1).mask, mask_of(answered(image, prompt)))


def test_candidates_are_those_of_the_tracker() -> None:
    predictor = ImagePredictor(model())
    agreements = []
    for image, truth in small_things()[:8]:
        prompt = Prompt(box=tight_box(truth))
        predictor.set_image(image)
        found = predictor.segment(prompt)
        agreements.append(region_similarity(found.masks[0], mask_of(answered(image, prompt))))
        again = predictor.predict([Click(*_middle(truth))], mask_logits=found.logits[0])
        assert np.isfinite(again.iou).all(), "its logits can be corrected"
    assert np.median(agreements) > 0.98, "but for small holes"


def test_a_small_image_has_no_closer_look() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    prompt = Prompt(box=(10, 10, 6, 6))
    np.testing.assert_array_equal(mask_of(answered(image, prompt, True)), mask_of(answered(image, prompt, False)))


def test_window_shows_the_whole_prompt() -> None:
    assert window_around(480, 640, None, [Click(320, 240)], None) == Crop(160, 120, 480, 360)
    assert window_around(480, 640, None, [Click(3, 479)], None) == Crop(0, 240, 320, 480), "it stays in the image"
    assert window_around(480, 640, None, [Click(100, 100), Click(200, 140, False)], None) == Crop(0, 0, 320, 240)
    assert window_around(480, 640, None, [Click(0, 0), Click(400, 20)], None) is None
    mask = np.zeros((480, 640), bool)
    mask[300:310, 500:510] = True
    assert window_around(480, 640, None, [Click(490, 300)], mask) == Crop(320, 185, 640, 425)


def test_window_around_a_box_depends_on_its_size() -> None:
    small, medium = (window_around(480, 640, Box(300, 200, side, 10), [], None) for side in (16, 96))
    assert small is not None and medium is not None
    assert (small.right - small.left, small.bottom - small.top) == (160, 120), "no more than four times as large"
    assert medium.right - medium.left == 192, "a box of half the side"


def test_large_images_are_kept_reduced() -> None:
    image = np.zeros((2160, 3840, 3), np.uint8)
    image[:, 1920:] = 200
    kept = pixels_for(image[..., ::-1], DEFAULT)
    h, w = DEFAULT.shape(2160, 3840)
    assert 2 * h <= kept.shape[0] < 4 * h and 2 * w <= kept.shape[1] < 4 * w
    assert kept[:, 0].max() == 0 and kept[:, -1].min() == 200
    assert pixels_for(image[:480, :640], DEFAULT).shape == (480, 640, 3)


def _closer_look(tracker: Tracker) -> CloserLook:
    found = tracker.history.newest.answers[1].closer_look
    assert found is not None
    return found


def _middle(mask: np.ndarray) -> tuple[float, float]:
    box = tight_box(mask)
    return box.x + box.width // 2, box.y + box.height // 2
