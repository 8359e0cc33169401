"""Masklets from answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sam2_ros.model.sam2 import ImageFeatures
from sam2_ros.tracking import pixels
from sam2_ros.tracking.encoded_image import EncodedImage
from sam2_ros.tracking.history import Answer, HistoryFrame
from sam2_ros.tracking.rendering import masklets_of, render_masks

IMAGE = EncodedImage(64, 96, ImageFeatures(*(torch.zeros(1, 1, 16 // s, 24 // s) for s in (1, 2, 4))))


def answer(columns: slice, logit: float, presence: float = 3.0, mask: np.ndarray | None = None) -> Answer:
    logits = torch.full((16, 24), -5.0)
    logits[:, columns] = logit
    return Answer(logits, 0.75, presence, mask)


ANSWERS = {1: answer(slice(0, 12), 2.0), 2: answer(slice(6, 24), 4.0), 3: answer(slice(9), 9.0, presence=-1.0)}
FRAME = HistoryFrame(0, 0, IMAGE, ANSWERS)


def test_only_masks_of_present_objects_are_rendered() -> None:
    masks = render_masks(FRAME, [1, 2, 3, 4], pixels, non_overlap=False)
    assert list(masks) == [1, 2] and all(mask.shape == (64, 96) for mask in masks.values())
    assert (masks[1] & masks[2]).any()
    assert render_masks(FRAME, [3, 4], pixels, non_overlap=False) == {}


def test_contested_pixel_belongs_to_the_highest_logit() -> None:
    masks = render_masks(FRAME, [1, 2], pixels, non_overlap=True)
    assert not (masks[1] & masks[2]).any()
    assert masks[2][:, 40].all() and masks[1][:, 10].all()


def test_prompted_mask_stays_unchanged() -> None:
    prompted = np.zeros((64, 96), bool)
    prompted[3, 5] = True
    frame = HistoryFrame(0, 0, IMAGE, {1: answer(slice(0, 12), 2.0, mask=prompted)})
    assert np.array_equal(render_masks(frame, [1], pixels, non_overlap=False)[1], prompted)


def test_objects_without_a_mask_are_absent() -> None:
    masks = render_masks(FRAME, [1, 3], pixels, non_overlap=False)
    one, absent, unknown = masklets_of(FRAME, {1: "cup", 3: "", 7: "new"}, masks, 0.1)
    assert (one.object_id, one.label, one.present, one.iou, one.box_min_part) == (1, "cup", True, 0.75, 0.1)
    assert one.presence == pytest.approx(0.9526, abs=1e-3) and np.array_equal(one.mask, masks[1])
    assert not absent.present and absent.presence == pytest.approx(0.2689, abs=1e-3) and not absent.mask.any()
    assert (unknown.label, unknown.present, unknown.presence, unknown.iou) == ("new", False, 0.0, 0.0)
    assert unknown.mask.shape == (64, 96)


def test_an_object_without_a_pixel_has_no_presence() -> None:
    (masklet,) = masklets_of(FRAME, {1: "cup"}, {1: np.zeros((64, 96), bool)}, 0.1)
    assert not masklet.present and masklet.presence == 0.0
