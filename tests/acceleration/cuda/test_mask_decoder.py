"""The mask decoder's faster classes for CUDA: in Triton's interpreter, and on a GPU if there is one."""

from itertools import product
from pathlib import Path

import pytest
import torch
from triton_processes import python

from sam2_ros.acceleration.cuda.classes import CUDA_CLASSES
from sam2_ros.acceleration.cuda.mask_decoder import side_by_side, stacked
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.layers import MLP
from sam2_ros.model.mask_decoder import MaskDecoder

pytestmark = pytest.mark.slow

TESTS = str(Path(__file__).parents[2])

DECODER = """
import torch
from sam2_ros.acceleration.cuda.classes import CUDA_CLASSES
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.mask_decoder import MaskDecoder

torch.manual_seed(0)
dim = 128
decoder = MaskDecoder(CONFIGS["default"]).requires_grad_(False)
twin = twin_of(decoder, CUDA_CLASSES, torch.float32)
for n, h, w in ((1, 4, 6), (3, 5, 7)):
    image, position, prompts = torch.randn(n, dim, h, w), torch.randn(dim, h, w), torch.randn(n, 2, dim)
    skips = torch.randn(1, dim // 8, 4 * h, 4 * w), torch.randn(1, dim // 4, 2 * h, 2 * w)
    given = image, position, prompts, *(skip.expand(n, -1, -1, -1) for skip in skips)
    before = image.clone()
    plain, result = decoder(*given), twin(*given)
    assert not torch.equal(result.logits, plain.logits)  # equal: they would be the same code
    for name in ("logits", "iou", "tokens", "presence_logit"):
        torch.testing.assert_close(getattr(result, name), getattr(plain, name), rtol=1e-5, atol=1e-5)
    assert torch.equal(image, before)
"""


def test_the_decoder_through_the_kernels_equals_the_plain_one():
    pytest.importorskip("triton", reason="pip install triton (comes with PyTorch for CUDA)")
    python(DECODER, TRITON_INTERPRET="1", PYTHONPATH=TESTS)


@torch.no_grad()
def test_batched_heads_equal_single_heads():
    torch.manual_seed(0)
    mlps = [MLP(32, 32, 1, layers=3), MLP(32, 16, 4, layers=3), MLP(32, 32, 8, layers=3)]
    x = torch.randn(5, 3, 32)
    for i, result in enumerate(side_by_side(mlps, stacked(mlps), x)):
        torch.testing.assert_close(result, mlps[i](x[:, i]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
@pytest.mark.parametrize(("rounded", "allowed"), [(False, 1e-4), (True, 2e-2)])
@torch.no_grad()
def test_the_decoder_on_a_gpu(monkeypatch, rounded: bool, allowed: float):
    """With exact products, and with products rounded to TF32."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", rounded)
    torch.manual_seed(0)
    for name, n, h, w in (("default", 3, 5, 7), ("sam2.1_hiera_tiny", 2, 16, 16)):
        decoder, dim = MaskDecoder(CONFIGS[name]), CONFIGS[name].dim
        image, position, prompts = torch.randn(n, dim, h, w), torch.randn(dim, h, w), torch.randn(n, 2, dim)
        stride4, stride8 = torch.randn(1, dim // 8, 4 * h, 4 * w), torch.randn(1, dim // 4, 2 * h, 2 * w)
        inputs = image, position, prompts, stride4, stride8.to(memory_format=torch.channels_last)
        expected = decoder(*inputs)
        decoder, inputs = decoder.cuda(), [x.cuda() for x in inputs]
        twin = twin_of(decoder, CUDA_CLASSES, torch.float32)
        result = [decoder(*inputs), twin(*inputs), twin(*inputs)]
        for i, part in product(range(3), ("logits", "iou", "tokens", "presence_logit")):
            wrong = getattr(result[i], part).cpu() - getattr(expected, part)
            assert float(wrong.norm() / getattr(expected, part).norm()) <= allowed, (name, i, part)
