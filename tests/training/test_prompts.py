"""Prompts drawn from masks."""

import torch

from sam2_ros.model.prompt_encoder import PointLabel
from sam2_ros.training.prompts import Chance, boxes, clicks, corrections


def chance(objects: int, **kwargs) -> Chance:
    return Chance(torch.Generator().manual_seed(0), objects, **kwargs)


def rectangle(x0: int, y0: int, x1: int, y1: int) -> torch.Tensor:
    mask = torch.zeros(32, 48, dtype=torch.bool)
    mask[y0:y1, x0:x1] = True
    return mask


def at(masks: torch.Tensor, points: torch.Tensor) -> list[bool]:
    return [bool(mask[int(y), int(x)]) for mask, (x, y) in zip(masks, points[:, 0].tolist(), strict=True)]


def test_clicks_cover_the_mask_and_nothing_else():
    masks = rectangle(5, 6, 8, 10).expand(200, -1, -1)
    points, labels = clicks(masks, chance(200))
    assert all(at(masks, points)) and (labels == PointLabel.POSITIVE).all()
    assert len(points.unique(dim=0)) == 12


def test_boxes_stay_near_the_mask_and_in_the_image():
    masks = rectangle(30, 0, 48, 20).expand(200, -1, -1)
    points, labels = boxes(masks, chance(200))
    assert labels.tolist() == [[PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT]] * 200
    off = (points - torch.tensor([[30.0, 0], [48, 20]])).abs()
    assert (off[..., 0] <= 1.8 + 1e-4).all() and (off[..., 1] <= 2.0 + 1e-4).all()
    assert off[:, 0, 0].std() > 0.5
    assert (points >= 0).all() and (points[..., 0] <= 47).all()


def test_boxes_without_jitter_are_tight():
    points, _ = boxes(rectangle(3, 4, 20, 11)[None], chance(1), jitter=0)
    assert points.tolist() == [[[3, 4], [20, 11]]]


def test_corrections_are_in_the_error_region():
    truth = rectangle(10, 10, 20, 20).expand(300, -1, -1)
    predicted = rectangle(14, 10, 24, 20).expand(300, -1, -1)  # misses the left, spills over the right
    logits = predicted * 20.0 - 10
    points, labels = corrections(logits, truth, chance(300), from_truth=0)
    assert all(at(truth ^ predicted, points))
    assert at(truth, points) == (labels[:, 0] == PointLabel.POSITIVE).tolist()
    assert {PointLabel.POSITIVE, PointLabel.NEGATIVE} == set(labels[:, 0].tolist())


def test_some_corrections_are_on_the_true_mask():
    truth = rectangle(10, 10, 20, 20).expand(1000, -1, -1)
    logits = rectangle(10, 10, 21, 20).expand(1000, -1, -1) * 20.0 - 10
    points, labels = corrections(logits, truth, chance(1000))
    positive = labels[:, 0] == PointLabel.POSITIVE
    assert 60 < positive.sum() < 150
    assert at(truth, points) == positive.tolist()


def test_corrections_of_a_perfect_and_of_an_empty_mask():
    truth = torch.stack((rectangle(10, 10, 20, 20), rectangle(0, 0, 0, 0), rectangle(0, 0, 0, 0)))
    predicted = truth.clone()
    predicted[2, 3, 4] = True
    points, labels = corrections(predicted * 20.0 - 10, truth, chance(3))
    assert at(truth, points) == [True, False, False]
    assert labels[:, 0].tolist() == [PointLabel.POSITIVE, PointLabel.NEGATIVE, PointLabel.NEGATIVE]
    assert points[2, 0].tolist() == [4, 3]


def test_absent_objects_get_a_negative_click():
    nothing = torch.zeros(2, 32, 48, dtype=torch.bool)
    nothing[1, 3:9, 4:20] = True
    points, labels = clicks(nothing, chance(2))
    assert labels[:, 0].tolist() == [PointLabel.NEGATIVE, PointLabel.POSITIVE]
    points, labels = boxes(nothing, chance(2), jitter=0)
    assert labels[0].tolist() == [PointLabel.NEGATIVE, PointLabel.PADDING]
    assert labels[1].tolist() == [PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT]
    assert points[1].tolist() == [[4, 3], [20, 9]]
    assert (points[0] >= 0).all() and (points[0, :, 0] < 48).all() and (points[0, :, 1] < 32).all()


def test_prompts_do_not_depend_on_the_number_of_processes():
    masks = torch.stack([rectangle(i, i, 20 + i, 15 + i) for i in range(5)])
    logits = masks.roll(3, dims=2) * 20.0 - 10
    for draw in (
        lambda part, chance: clicks(masks[part], chance)[0],
        lambda part, chance: boxes(masks[part], chance)[0],
        lambda part, chance: corrections(logits[part], masks[part], chance)[0],
    ):
        together = draw(slice(0, 5), chance(5))
        apart = [draw(slice(0, 2), chance(2, first=0, total=5)), draw(slice(2, 5), chance(3, first=2, total=5))]
        assert torch.equal(torch.cat(apart), together)
