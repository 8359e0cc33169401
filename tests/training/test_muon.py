"""Muon, compared with PyTorch's own, which iterates in bfloat16."""

import pytest
import torch

from sam2_ros.training import bfloat16
from sam2_ros.training.muon import Muon, orthogonalised

SHAPES = (12, 12), (8, 20), (20, 8), (12, 12)


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("shape", SHAPES[:3])
def test_singular_values_are_equalised(shape: tuple[int, int], native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfloat16, "is_native", lambda device: native)
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    result = orthogonalised(matrices)
    assert result.dtype == torch.float32
    for matrix, orthogonal in zip(matrices, result, strict=True):
        u, _, v = torch.linalg.svd(matrix, full_matrices=False)
        turned = u.T @ orthogonal @ v.T  # diagonal, where the singular vectors are those of the matrix
        assert turned.diag().min() > 0.5 and turned.diag().max() < 1.5
        assert (turned - turned.diag().diag()).abs().max() < (0.1 if native else 1e-4)


def test_steps_equal_those_of_pytorch() -> None:
    theirs = getattr(torch.optim, "Muon", None)
    if theirs is None:
        pytest.skip("PyTorch has Muon from 2.9 on")
    generator = torch.Generator().manual_seed(1)
    start = [torch.randn(shape, generator=generator) for shape in SHAPES]
    gradients = [[torch.randn(shape, generator=generator) for shape in SHAPES] for _ in range(4)]

    def moved(make) -> list[torch.Tensor]:
        matrices = [torch.nn.Parameter(matrix.clone()) for matrix in start]
        groups = [{"params": matrices[:3], "lr": 0.1, "weight_decay": 0.1}]
        optimizer = make([*groups, {"params": matrices[3:], "lr": 0.01, "weight_decay": 0.0}])
        for step in gradients:
            for matrix, gradient in zip(matrices, step, strict=True):
                matrix.grad = gradient
            optimizer.step()
        return [matrix.detach() - before for matrix, before in zip(matrices, start, strict=True)]

    expected = moved(lambda groups: theirs(groups, adjust_lr_fn="match_rms_adamw"))
    for ours, other in zip(moved(Muon), expected, strict=True):
        assert (ours - other).norm() < 0.02 * other.norm()


def test_matrices_without_gradient_are_unchanged() -> None:
    still, moving = (torch.nn.Parameter(torch.ones(8, 8)) for _ in range(2))
    moving.grad = torch.ones(8, 8)
    Muon([{"params": [still, moving]}]).step()
    assert torch.equal(still.detach(), torch.ones(8, 8))
    assert not torch.equal(moving.detach(), torch.ones(8, 8))
