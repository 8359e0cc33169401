"""Losses, compared with values computed by hand."""

import math

import pytest
import torch

from sam2_ros.model.sam2 import Decoded
from sam2_ros.training.losses import LossWeights, coverage, dice_loss, focal_loss, iou, losses

LN3 = math.log(3)  # sigmoid(ln 3) = 3 / 4


def test_focal_loss_of_two_pixels():
    logits, target = torch.tensor([[[LN3, LN3]]]), torch.tensor([[[1.0, 0.0]]])
    right = 0.25 * 0.25**2 * -math.log(3 / 4)
    wrong = 0.75 * 0.75**2 * -math.log(1 / 4)
    assert focal_loss(logits, target).item() == pytest.approx((right + wrong) / 2, rel=1e-5)


def test_dice_loss_of_two_pixels():
    logits, target = torch.tensor([[[LN3, LN3]]]), torch.tensor([[[1.0, 0.0]]])
    assert dice_loss(logits, target).item() == pytest.approx(1 - (2 * 0.75 + 1) / (1.5 + 1 + 1), rel=1e-5)


def test_iou_counts_cells_covered_by_more_than_half():
    logits = torch.tensor([[[5.0, 5.0, -5.0, -5.0]]])
    assert iou(logits, torch.tensor([[[1.0, 0.4, 0.6, 0.0]]])).item() == pytest.approx(1 / 3)


def test_iou_of_an_empty_mask_of_a_thin_object_is_zero():
    """A line of one pixel covers a quarter of each cell that it crosses: it vanishes on the decoder's grid."""
    line = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    line[..., 17, 4:28] = True
    target = coverage(line)[:, 0]
    assert target.max() == 0.25
    answer = decoded(torch.full((1, 4, 8, 8), -5.0), torch.zeros(1, 4), torch.zeros(1))
    assert losses(answer, target, torch.tensor([True]), multimask=True).iou == 0


def test_coverage_is_the_share_of_each_cell():
    mask = torch.zeros(1, 2, 8, 8, dtype=torch.bool)
    mask[0, 1, :2, :4] = True
    assert coverage(mask)[0].tolist() == [[[0, 0], [0, 0]], [[0.5, 0], [0, 0]]]


def decoded(all_logits, all_iou, presence_logit) -> Decoded:
    n = len(all_logits)
    pointer = torch.zeros(n, 1)
    single = all_logits[:, 0]
    return Decoded(single, single, all_iou[:, 0], presence_logit, pointer, all_logits, all_iou)


def test_only_the_best_candidate_learns_the_mask_and_all_learn_their_iou():
    target = torch.zeros(1, 8, 8)
    target[0, :4] = 1
    good = torch.where(target > 0, 3.0, -3.0)
    logits = torch.stack([-good, -good, good, torch.zeros_like(good)], dim=1).requires_grad_()
    claimed = torch.full((1, 4), 0.5, requires_grad=True)
    loss = losses(decoded(logits, claimed, torch.zeros(1)), target, torch.tensor([True]), multimask=True)
    loss.total.backward()
    assert [bool(grad.any()) for grad in logits.grad[0]] == [False, False, True, False]
    assert [bool(grad) for grad in claimed.grad[0]] == [False, True, True, True]
    # True IoU of the candidates: the inverse 0, the mask 1, nothing 0.
    assert loss.iou.item() == pytest.approx((0.5 + 0.5 + 0.5) / 3)


def test_only_the_single_mask_learns_without_multimask():
    target = torch.ones(1, 8, 8)
    logits = torch.zeros(1, 4, 8, 8, requires_grad=True)
    losses(decoded(logits, torch.zeros(1, 4), torch.zeros(1)), target, torch.tensor([True]), False).total.backward()
    assert [bool(grad.any()) for grad in logits.grad[0]] == [True, False, False, False]


def test_absent_objects_train_only_the_object_score():
    target = torch.stack((torch.ones(8, 8), torch.zeros(8, 8)))
    present = torch.tensor([True, False])
    logits = torch.zeros(2, 4, 8, 8, requires_grad=True)
    claimed = torch.full((2, 4), 0.5, requires_grad=True)
    score = torch.tensor([LN3, LN3], requires_grad=True)
    both = losses(decoded(logits, claimed, score), target, present, True)
    both.total.backward()
    assert logits.grad[0].any() and not logits.grad[1].any()
    assert claimed.grad[0].any() and not claimed.grad[1].any()
    assert score.grad[0] < 0 < score.grad[1]
    alone = losses(decoded(logits[:1], claimed[:1], score[:1]), target[:1], present[:1], True)
    assert both.dice.item() == pytest.approx(alone.dice.item())
    assert both.presence.item() == pytest.approx((-math.log(3 / 4) - math.log(1 / 4)) / 2)


def test_losses_without_visible_objects_are_finite():
    logits = torch.zeros(1, 4, 8, 8, requires_grad=True)
    loss = losses(decoded(logits, torch.zeros(1, 4), torch.zeros(1)), torch.zeros(1, 8, 8), torch.tensor([False]), True)
    assert torch.isfinite(loss.total) and loss.dice == 0


def test_weights_scale_the_losses():
    target, present = torch.zeros(1, 8, 8), torch.tensor([True])
    target[0, 0] = 1
    answer = decoded(torch.full((1, 4, 8, 8), LN3), torch.zeros(1, 4), torch.zeros(1))
    plain = losses(answer, target, present, False, LossWeights(focal=0, cross_entropy=2, dice=0, iou=0, presence=0))
    assert plain.total.item() == pytest.approx(2 * (-math.log(3 / 4) - 7 * math.log(1 / 4)) / 8, rel=1e-5)
    paper = losses(answer, target, present, False)
    focal = focal_loss(answer.all_logits[:, 0], target).item()
    rest = paper.dice + paper.iou + paper.presence
    assert paper.total.item() == pytest.approx(20 * focal + rest.item(), rel=1e-5)


def test_gradients_computed_by_hand():
    """Gradients of the loss of one object with one wrong and one right pixel, both with probability 3 / 4."""
    target, present = torch.tensor([[[1.0, 0.0]]]), torch.tensor([True])
    logits = torch.full((1, 4, 1, 2), LN3, requires_grad=True)
    claimed = torch.tensor([[0.75, 0.0, 0.0, 0.0]], requires_grad=True)
    score = torch.tensor([LN3], requires_grad=True)

    def gradients(**weights) -> list[torch.Tensor]:
        chosen = LossWeights(**{"focal": 0, "dice": 0, "iou": 0, "presence": 0, **weights})
        loss = losses(decoded(logits, claimed, score), target, present, False, chosen)
        return list(torch.autograd.grad(loss.total, (logits, claimed, score), materialize_grads=True))

    p, slope = 3 / 4, 3 / 4 * 1 / 4  # the sigmoid, and its slope
    # d/dp of -alpha (1 - p)^2 ln p, and of -(1 - alpha) p^2 ln(1 - p)
    right = 0.25 * (2 * (1 - p) * math.log(p) - (1 - p) ** 2 / p)
    wrong = 0.75 * (-2 * p * math.log(1 - p) + p**2 / (1 - p))
    focal = gradients(focal=20)[0][0, 0, 0]
    assert focal.tolist() == pytest.approx([20 / 2 * right * slope, 20 / 2 * wrong * slope], rel=1e-5)
    # Dice: 1 - (2 p0 + 1) / (p0 + p1 + 1 + 1)
    total, overlap = 2 * p + 2, 2 * p + 1
    dice = gradients(dice=1)[0][0, 0, 0]
    assert dice.tolist() == pytest.approx(
        [-(2 * total - overlap) / total**2 * slope, overlap / total**2 * slope], rel=1e-5
    )
    # IoU: the mask covers both pixels, so it is 1 / 2, and the predicted 0.75 is too high.
    assert gradients(iou=1)[1][0].tolist() == [1, 0, 0, 0]
    # Cross-entropy of the object score: p - 1.
    assert gradients(presence=1)[2].item() == pytest.approx(-1 / 4, rel=1e-5)


def test_losses_of_two_processes_add_up():
    generator = torch.Generator().manual_seed(0)
    logits, claimed = torch.randn(3, 4, 8, 8, generator=generator), torch.rand(3, 4, generator=generator)
    score, present = torch.randn(3, generator=generator), torch.tensor([True, False, True])
    target = (torch.rand(3, 8, 8, generator=generator) < 0.3).float() * present[:, None, None]

    def of(part: slice, *counts: torch.Tensor):
        return losses(decoded(logits[part], claimed[part], score[part]), target[part], present[part], True, *counts)

    together = of(slice(0, 3))
    counts = (LossWeights(), torch.tensor(2 / 2), torch.tensor(3 / 2))  # the mean of two processes
    apart = [of(slice(0, 2), *counts), of(slice(2, 3), *counts)]
    for name in ("total", "pixels", "dice", "iou", "presence"):
        mean = (getattr(apart[0], name) + getattr(apart[1], name)) / 2
        assert mean.item() == pytest.approx(getattr(together, name).item(), rel=1e-5), name
