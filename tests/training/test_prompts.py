"""Prompts drawn from masks."""

import pytest
import torch

from sam2_ros.model.prompt_encoder import PointLabel
from sam2_ros.training.prompts import boxes, clicks, corrections


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def rectangle(x0: int, y0: int, x1: int, y1: int) -> torch.Tensor:
    mask = torch.zeros(32, 48, dtype=torch.bool)
    mask[y0:y1, x0:x1] = True
    return mask


def at(masks: torch.Tensor, points: torch.Tensor) -> list[bool]:
    return [bool(mask[int(y), int(x)]) for mask, (x, y) in zip(masks, points[:, 0].tolist(), strict=True)]


def test_clicks_land_everywhere_on_the_mask_and_nowhere_else(generator):
    masks = rectangle(5, 6, 8, 10).expand(200, -1, -1)
    points, labels = clicks(masks, generator)
    assert all(at(masks, points)) and (labels == PointLabel.POSITIVE).all()
    assert len(points.unique(dim=0)) == 12


def test_boxes_stay_near_the_mask_and_in_the_picture(generator):
    masks = rectangle(30, 0, 48, 20).expand(200, -1, -1)
    points, labels = boxes(masks, generator)
    assert labels.tolist() == [[PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT]] * 200
    off = (points - torch.tensor([[30.0, 0], [48, 20]])).abs()
    assert (off[..., 0] <= 1.8 + 1e-4).all() and (off[..., 1] <= 2.0 + 1e-4).all()
    assert off[:, 0, 0].std() > 0.5
    assert (points >= 0).all() and (points[..., 0] <= 47).all()


def test_boxes_without_jitter_are_tight(generator):
    points, _ = boxes(rectangle(3, 4, 20, 11)[None], generator, jitter=0)
    assert points.tolist() == [[[3, 4], [20, 11]]]


def test_corrections_land_where_the_prediction_is_wrong(generator):
    truth = rectangle(10, 10, 20, 20).expand(300, -1, -1)
    predicted = rectangle(14, 10, 24, 20).expand(300, -1, -1)  # misses the left, spills over the right
    logits = predicted * 20.0 - 10
    points, labels = corrections(logits, truth, generator, from_truth=0)
    assert all(at(truth ^ predicted, points))
    assert at(truth, points) == (labels[:, 0] == PointLabel.POSITIVE).tolist()
    assert {PointLabel.POSITIVE, PointLabel.NEGATIVE} == set(labels[:, 0].tolist())


def test_some_corrections_come_from_the_truth(generator):
    truth = rectangle(10, 10, 20, 20).expand(1000, -1, -1)
    logits = rectangle(10, 10, 21, 20).expand(1000, -1, -1) * 20.0 - 10
    points, labels = corrections(logits, truth, generator)
    positive = labels[:, 0] == PointLabel.POSITIVE
    assert 60 < positive.sum() < 150
    assert at(truth, points) == positive.tolist()


def test_corrections_of_a_perfect_and_of_an_empty_mask(generator):
    truth = torch.stack((rectangle(10, 10, 20, 20), rectangle(0, 0, 0, 0), rectangle(0, 0, 0, 0)))
    predicted = truth.clone()
    predicted[2, 3, 4] = True
    points, labels = corrections(predicted * 20.0 - 10, truth, generator)
    assert at(truth, points) == [True, False, False]
    assert labels[:, 0].tolist() == [PointLabel.POSITIVE, PointLabel.NEGATIVE, PointLabel.NEGATIVE]
    assert points[2, 0].tolist() == [4, 3]
