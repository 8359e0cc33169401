"""Layer norm over the channels of a map, for CUDA: PyTorch's takes a block of threads for each pixel, even with few
channels, and masks at full size have millions of pixels. Written in Triton."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_ros.acceleration.cuda.kernels.gelu import gelu

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # PyTorch for CPUs comes without it
    triton = None

VALUES = 4096
"""Values per block of threads."""


def _normalise(
    x, added, weight, bias, out, pixels, batch, channel, pixel, eps,
    C: tl.constexpr, ADD: tl.constexpr, GELU: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Normalise some pixels of one map, in float32; they are written with their channels next to each other."""
    picture = tl.program_id(1).to(tl.int64)
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    channels = tl.arange(0, C)
    mask = (rows < pixels)[:, None]
    source = x + picture * batch + rows[:, None] * pixel + channels * channel
    values = tl.load(source, mask=mask, other=0.0).to(tl.float32)
    if ADD:
        values += tl.load(added + channels).to(tl.float32)
    values -= (tl.sum(values, 1) / C)[:, None]
    values *= tl.rsqrt(tl.sum(values * values, 1) / C + eps)[:, None]
    values = values * tl.load(weight + channels).to(tl.float32) + tl.load(bias + channels).to(tl.float32)
    if GELU:
        values = gelu(values)
    target = out + (picture * pixels + rows[:, None]) * C + channels
    tl.store(target, values.to(out.dtype.element_ty), mask=mask)


if triton is not None:
    _normalise = triton.jit(_normalise)


def channel_norm(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, gelu: bool, added: Tensor | None = None
) -> Tensor:
    """Apply layer norm over the channels of x, and GELU.

    Args:
        x: [B, C, H, W], C a power of two; it may have its channels last in memory.
        weight, bias: [C].
        gelu: whether GELU follows.
        added: [C], such as the bias of a convolution, added to x first; None: nothing.

    Returns:
        [B, C, H, W] of x's dtype, channels last in memory.
    """
    b, c, h, w = x.shape
    if not (x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)):
        x = x.contiguous()
    out = torch.empty_like(x, memory_format=torch.channels_last)
    block = max(1, VALUES // c)
    with torch.cuda.device_of(x):  # Triton launches on the current device
        _normalise[triton.cdiv(h * w, block), b](
            x, weight if added is None else added, weight, bias, out,
            h * w, x.stride(0), x.stride(1), x.stride(3), eps,
            C=c, ADD=added is not None, GELU=gelu, BLOCK=block,
        )  # fmt: skip
    return out
