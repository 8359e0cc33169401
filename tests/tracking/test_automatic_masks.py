"""Automatic masks equal a second computation, which does everything at full size and one by one."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from sam2_ros.checkpoints.load import load_model
from sam2_ros.model import SAM2
from sam2_ros.model.config import CONFIGS
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.tracking import ImagePredictor
from sam2_ros.tracking.automatic_masks import AutomaticMask, AutomaticMaskGenerator, EverythingSettings
from sam2_ros.tracking.prompt import Click
from sam2_ros.tracking.tracker import Tracker

HEIGHT, WIDTH = 240, 320


@pytest.fixture(scope="module")
def network() -> SAM2:
    """The default network, for small images."""
    return load_model(device="cpu", image_size=192)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """A drawn scene."""
    return SyntheticScenes(SceneSettings(HEIGHT, WIDTH, frames=1, objects=(4, 4), leaving=0)).scene(5).frames[0]


def boxes_of(masks: np.ndarray) -> np.ndarray:
    rows = []
    for mask in masks:
        y, x = np.nonzero(mask)
        rows.append([x.min(), y.min(), x.max(), y.max()] if len(x) else [0, 0, 0, 0])
    return np.array(rows).reshape(-1, 4)


def kept(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    chosen: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        x0, y0, x1, y1 = boxes[i]
        fits = True
        for j in chosen:
            a0, b0, a1, b1 = boxes[j]
            common = max(0, min(x1, a1) - max(x0, a0)) * max(0, min(y1, b1) - max(y0, b0))
            union = (x1 - x0) * (y1 - y0) + (a1 - a0) * (b1 - b0) - common
            fits = fits and not (union and common / union > threshold)
        if fits:
            chosen.append(i)
    return chosen


def expected(model: SAM2, image: np.ndarray, settings: EverythingSettings) -> list[dict]:
    """The same masks by the image predictor, click by click."""
    results: list[dict] = []
    layers = [(0, 0, WIDTH, HEIGHT, 0)]
    if settings.crop_n_layers:
        shared = int(settings.crop_overlap_ratio * HEIGHT)
        w, h = -(-(shared + WIDTH) // 2), -(-(shared + HEIGHT) // 2)
        layers += [(x, y, min(x + w, WIDTH), min(y + h, HEIGHT), 1) for x in (0, w - shared) for y in (0, h - shared)]
    for left, top, right, bottom, layer in layers:
        predictor = ImagePredictor(model, accelerate=False)
        predictor.set_image(image[top:bottom, left:right])
        per_side = settings.points_per_side // settings.crop_n_points_downscale_factor**layer
        found: list[dict] = []
        for row in range(per_side):
            for column in range(per_side):
                x = (column + 0.5) / per_side * (right - left)
                y = (row + 0.5) / per_side * (bottom - top)
                found += answers(predictor, x, y, bottom - top, right - left, settings)
        whole = []
        for one in found:
            box = boxes_of(one["mask"][None])[0] + (left, top, left, top)
            near = [abs(a - b) <= 20 for a, b in zip(box, (left, top, right, bottom), strict=True)]
            at_image = [abs(a - b) <= 20 for a, b in zip(box, (0, 0, WIDTH, HEIGHT), strict=True)]
            if any(a and not b for a, b in zip(near, at_image, strict=True)):
                continue
            mask = np.zeros((HEIGHT, WIDTH), bool)
            mask[top:bottom, left:right] = one["mask"]
            whole.append({**one, "mask": mask, "box": box, "area": (right - left) * (bottom - top)})
        boxes = np.array([one["box"] for one in whole]).reshape(-1, 4)
        results += [whole[i] for i in kept(boxes, np.array([one["iou"] for one in whole]), settings.box_nms_thresh)]
    if len(layers) > 1:
        boxes = np.array([one["box"] for one in results]).reshape(-1, 4)
        order = kept(boxes, np.array([1 / one["area"] for one in results]), settings.crop_nms_thresh)
        results = [results[i] for i in order]
    if least := settings.min_mask_region_area:
        unchanged = []
        for one in results:
            before = one["mask"]
            one["mask"] = cleaned(before, least)
            unchanged.append(float(np.array_equal(before, one["mask"])))
        boxes = boxes_of(np.array([one["mask"] for one in results]).reshape(-1, HEIGHT, WIDTH))
        limit = max(settings.box_nms_thresh, settings.crop_nms_thresh)
        results = [results[i] for i in kept(boxes, np.array(unchanged), limit)]
    return results


def answers(
    predictor: ImagePredictor, x: float, y: float, height: int, width: int, settings: EverythingSettings
) -> list[dict]:
    candidates = predictor.predict([Click(x, y)], multimask=settings.multimask_output)
    logits, ious = candidates.logits, candidates.iou
    if settings.use_m2m:
        again = [predictor.predict([Click(x, y)], mask_logits=one, multimask=False) for one in logits]
        logits, ious = torch.cat([one.logits for one in again]), np.concatenate([one.iou for one in again])
    large = F.interpolate(logits[None].float(), (height, width), mode="bilinear")[0].numpy()
    found = []
    for mask_logits, iou in zip(large, ious, strict=True):
        possible = (mask_logits > -settings.stability_score_offset).sum()
        stability = (mask_logits > settings.stability_score_offset).sum() / possible if possible else 0
        if iou > settings.pred_iou_thresh and stability >= settings.stability_score_thresh:
            found.append({"mask": mask_logits > 0, "iou": iou, "stability": stability})
    return found


def cleaned(mask: np.ndarray, least: int) -> np.ndarray:
    for invert in (True, False):
        regions, count = ndimage.label(mask != invert, np.ones((3, 3)))
        sizes = {region: (regions == region).sum() for region in range(1, count + 1)}
        large = [region for region, size in sizes.items() if size >= least]
        if invert:
            mask = ~np.isin(regions, large)
        elif sizes:
            mask = np.isin(regions, large or [max(sizes, key=lambda region: sizes[region])])
    return mask


SETTINGS = EverythingSettings(
    points_per_side=6, points_per_batch=10, pred_iou_thresh=0.3, stability_score_thresh=0.3, box_nms_thresh=0.8
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"multimask_output": False},
        {"use_m2m": True},
        {"min_mask_region_area": 40},
        {"crop_n_layers": 1, "crop_n_points_downscale_factor": 2, "crop_nms_thresh": 0.6},
        {"stability_score_offset": 3.0, "stability_score_thresh": 0.05},
    ],
    ids=lambda changes: "_".join(changes) or "defaults",
)
def test_equal_to_a_second_computation(network: SAM2, image: np.ndarray, changes: dict) -> None:
    settings = replace(SETTINGS, **changes)
    ours = AutomaticMaskGenerator(network, settings).generate(image)
    theirs = expected(network, image, settings)
    assert len(ours) == len(theirs) > 2
    for a, b in zip(ours, theirs, strict=True):
        assert abs(a.iou - b["iou"]) < 1e-4 and abs(a.stability - b["stability"]) < 0.01
        assert (a.mask != b["mask"]).mean() < 0.002


def test_masks_describe_themselves(network: SAM2, image: np.ndarray) -> None:
    done: list[float] = []
    found = AutomaticMaskGenerator(network, SETTINGS).generate(image, on_progress=done.append)
    assert done == sorted(done) and done[-1] == 1 and len(done) == 4
    assert found == sorted(found, key=lambda one: -one.iou)
    for one in found:
        assert isinstance(one, AutomaticMask)
        assert one.mask.shape == (HEIGHT, WIDTH) and one.area == one.mask.sum()
        y, x = np.nonzero(one.mask)
        assert one.box == (x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1)
        assert 0 <= one.point[0] <= WIDTH and 0 <= one.point[1] <= HEIGHT
        assert one.iou > SETTINGS.pred_iou_thresh and one.stability >= SETTINGS.stability_score_thresh


def test_batches_change_nothing(network: SAM2, image: np.ndarray) -> None:
    one, other = (
        AutomaticMaskGenerator(network, replace(SETTINGS, points_per_batch=batch)).generate(image) for batch in (7, 36)
    )
    assert [(a.point, a.area) for a in one] == [(a.point, a.area) for a in other]


def test_nothing_found(network: SAM2, image: np.ndarray) -> None:
    settings = EverythingSettings(points_per_side=2, pred_iou_thresh=1.0, crop_n_layers=1, min_mask_region_area=10)
    assert AutomaticMaskGenerator(network, settings).generate(image) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("points_per_side", 0),
        ("points_per_batch", 0),
        ("pred_iou_thresh", 1.5),
        ("stability_score_thresh", float("nan")),
        ("crop_n_layers", 9),
        ("crop_overlap_ratio", 1.0),
        ("min_mask_region_area", -1),
    ],
)
def test_settings_out_of_range_are_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        EverythingSettings(**{name: value})


def test_other_images_are_refused(network: SAM2, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        AutomaticMaskGenerator(network).generate(image.astype(np.float32))


def test_released_models_get_the_defaults_of_their_authors() -> None:
    assert EverythingSettings.suited_to(CONFIGS["sam2.1_hiera_tiny"]) == EverythingSettings()


def test_the_default_model_finds_what_it_would_not_find_with_them(network: SAM2, image: np.ndarray) -> None:
    suited = EverythingSettings.suited_to(network.config)
    found, none = (
        AutomaticMaskGenerator(network, replace(settings, points_per_side=8)).generate(image)
        for settings in (suited, EverythingSettings())
    )
    assert len(found) > 2 > len(none)


def test_an_encoded_image_is_enough_without_crops(network: SAM2, image: np.ndarray) -> None:
    tracker = Tracker(network)
    whole = replace(SETTINGS, crop_n_layers=0)
    from_pixels, from_features = (
        AutomaticMaskGenerator(tracker.network, whole).generate(one) for one in (image, tracker.encode(image))
    )
    assert [(a.point, a.iou, a.area) for a in from_features] == [(a.point, a.iou, a.area) for a in from_pixels]
    with pytest.raises(ValueError, match="crops need the image itself"):
        AutomaticMaskGenerator(tracker.network, replace(whole, crop_n_layers=1)).generate(tracker.encode(image))


def test_a_turn_is_taken_for_each_batch_and_an_exception_gives_it_back(network: SAM2, image: np.ndarray) -> None:
    turn, progress = MagicMock(), []

    def stop(done: float) -> None:
        assert turn.__exit__.call_count == turn.__enter__.call_count == len(progress) + 1
        progress.append(done)
        if len(progress) == 3:
            raise KeyboardInterrupt

    settings = replace(SETTINGS, points_per_side=4, points_per_batch=4, crop_n_layers=0)
    with pytest.raises(KeyboardInterrupt):
        AutomaticMaskGenerator(network, settings, turn=turn).generate(image, on_progress=stop)
    assert progress == [0.25, 0.5, 0.75] and turn.__exit__.call_count == 3
