"""The first convolutions of masks, for CUDA. They have few channels and many pixels: cuDNN's kernels are slow there,
and the traffic is so large that norm and GELU are worth fusing. Written in Triton."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_ros.acceleration.cuda.kernels.gelu import gelu, inverse

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # PyTorch for CPUs comes without it
    triton = None

PIXELS = 128
"""Pixels per block of threads."""


def _upsample(before, x, after):
    """Bilinear upsampling by 4 along one side: the last of the four samples of the value before, and the four of x."""
    return (
        0.625 * before + 0.375 * x,
        0.375 * before + 0.625 * x,
        0.125 * before + 0.875 * x,
        0.875 * x + 0.125 * after,
        0.625 * x + 0.375 * after,
    )


def _mask(logit, inside, PROMPTED: tl.constexpr):
    """The mask of a logit, -10 .. 10; 0 outside, as convolutions pad."""
    mask = tl.where(logit > 0, 10.0, -10.0) if PROMPTED else 20 * inverse(1 + tl.exp2(logit * -1.4426950408889634)) - 10
    return tl.where(inside, mask, 0.0)


def _mask_row(a, b, c, d, e, inside, left, PROMPTED: tl.constexpr):
    """Masks of five samples, of which the first is outside in the first column."""
    return (
        _mask(a, inside & left, PROMPTED),
        _mask(b, inside, PROMPTED),
        _mask(c, inside, PROMPTED),
        _mask(d, inside, PROMPTED),
        _mask(e, inside, PROMPTED),
    )


def _channel(
    a0, a1, a2, a3, a4, b0, b1, b2, b3, b4, c0, c1, c2, c3, c4, d0, d1, d2, d3, d4, e0, e1, e2, e3, e4,
    weight, bias, CHANNEL: tl.constexpr,
):  # fmt: skip
    """One channel of the convolution over 5 x 5 samples: top left, top right, bottom left, bottom right."""
    shift = tl.load(bias + CHANNEL).to(tl.float32)
    w0, w1, w2 = _weights(weight + 9 * CHANNEL)
    w3, w4, w5 = _weights(weight + 9 * CHANNEL + 3)
    w6, w7, w8 = _weights(weight + 9 * CHANNEL + 6)
    return (
        shift + a0 * w0 + a1 * w1 + a2 * w2 + b0 * w3 + b1 * w4 + b2 * w5 + c0 * w6 + c1 * w7 + c2 * w8,
        shift + a2 * w0 + a3 * w1 + a4 * w2 + b2 * w3 + b3 * w4 + b4 * w5 + c2 * w6 + c3 * w7 + c4 * w8,
        shift + c0 * w0 + c1 * w1 + c2 * w2 + d0 * w3 + d1 * w4 + d2 * w5 + e0 * w6 + e1 * w7 + e2 * w8,
        shift + c2 * w0 + c3 * w1 + c4 * w2 + d2 * w3 + d3 * w4 + d4 * w5 + e2 * w6 + e3 * w7 + e4 * w8,
    )


def _weights(row):
    return tl.load(row).to(tl.float32), tl.load(row + 1).to(tl.float32), tl.load(row + 2).to(tl.float32)


def _normalise(a, b, c, d, scale, shift, eps):
    """Layer norm over four channels, and GELU."""
    mean = (a + b + c + d) / 4
    a, b, c, d = a - mean, b - mean, c - mean, d - mean
    factor = tl.rsqrt((a * a + b * b + c * c + d * d) / 4 + eps)
    return (
        gelu(a * factor * tl.load(scale).to(tl.float32) + tl.load(shift).to(tl.float32)),
        gelu(b * factor * tl.load(scale + 1).to(tl.float32) + tl.load(shift + 1).to(tl.float32)),
        gelu(c * factor * tl.load(scale + 2).to(tl.float32) + tl.load(shift + 2).to(tl.float32)),
        gelu(d * factor * tl.load(scale + 3).to(tl.float32) + tl.load(shift + 3).to(tl.float32)),
    )


def _from_logits(
    logits, weight, bias, scale, shift, out, height, width, eps,
    PROMPTED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Upsample and convolve some pixels of one object's logits. Each pixel becomes 4 x 4 samples, from which, with
    those above and to the left, the convolution makes 2 x 2: only border samples are computed twice, and none is ever
    in memory."""
    picture = tl.program_id(1).to(tl.int64) * height * width
    pixels = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixels < height * width
    row, column = pixels // width, pixels % width
    above, below = tl.maximum(row - 1, 0) * width, tl.minimum(row + 1, height - 1) * width
    before, after = tl.maximum(column - 1, 0), tl.minimum(column + 1, width - 1)
    source, middle = logits + picture, row * width

    p0, p1, p2, p3, p4 = _upsample(
        tl.load(source + above + before, mask=inside, other=0.0),
        tl.load(source + above + column, mask=inside, other=0.0),
        tl.load(source + above + after, mask=inside, other=0.0),
    )
    q0, q1, q2, q3, q4 = _upsample(
        tl.load(source + middle + before, mask=inside, other=0.0),
        tl.load(source + middle + column, mask=inside, other=0.0),
        tl.load(source + middle + after, mask=inside, other=0.0),
    )
    r0, r1, r2, r3, r4 = _upsample(
        tl.load(source + below + before, mask=inside, other=0.0),
        tl.load(source + below + column, mask=inside, other=0.0),
        tl.load(source + below + after, mask=inside, other=0.0),
    )
    a0, b0, c0, d0, e0 = _upsample(p0, q0, r0)
    a1, b1, c1, d1, e1 = _upsample(p1, q1, r1)
    a2, b2, c2, d2, e2 = _upsample(p2, q2, r2)
    a3, b3, c3, d3, e3 = _upsample(p3, q3, r3)
    a4, b4, c4, d4, e4 = _upsample(p4, q4, r4)
    left = column > 0
    a0, a1, a2, a3, a4 = _mask_row(a0, a1, a2, a3, a4, inside & (row > 0), left, PROMPTED)
    b0, b1, b2, b3, b4 = _mask_row(b0, b1, b2, b3, b4, inside, left, PROMPTED)
    c0, c1, c2, c3, c4 = _mask_row(c0, c1, c2, c3, c4, inside, left, PROMPTED)
    d0, d1, d2, d3, d4 = _mask_row(d0, d1, d2, d3, d4, inside, left, PROMPTED)
    e0, e1, e2, e3, e4 = _mask_row(e0, e1, e2, e3, e4, inside, left, PROMPTED)

    s0, t0, u0, v0 = _channel(
        a0, a1, a2, a3, a4, b0, b1, b2, b3, b4, c0, c1, c2, c3, c4, d0, d1, d2, d3, d4, e0, e1, e2, e3, e4,
        weight, bias, 0,
    )  # fmt: skip
    s1, t1, u1, v1 = _channel(
        a0, a1, a2, a3, a4, b0, b1, b2, b3, b4, c0, c1, c2, c3, c4, d0, d1, d2, d3, d4, e0, e1, e2, e3, e4,
        weight, bias, 1,
    )  # fmt: skip
    s2, t2, u2, v2 = _channel(
        a0, a1, a2, a3, a4, b0, b1, b2, b3, b4, c0, c1, c2, c3, c4, d0, d1, d2, d3, d4, e0, e1, e2, e3, e4,
        weight, bias, 2,
    )  # fmt: skip
    s3, t3, u3, v3 = _channel(
        a0, a1, a2, a3, a4, b0, b1, b2, b3, b4, c0, c1, c2, c3, c4, d0, d1, d2, d3, d4, e0, e1, e2, e3, e4,
        weight, bias, 3,
    )  # fmt: skip
    s0, s1, s2, s3 = _normalise(s0, s1, s2, s3, scale, shift, eps)
    t0, t1, t2, t3 = _normalise(t0, t1, t2, t3, scale, shift, eps)
    u0, u1, u2, u3 = _normalise(u0, u1, u2, u3, scale, shift, eps)
    v0, v1, v2, v3 = _normalise(v0, v1, v2, v3, scale, shift, eps)

    # Two neighbours' channels are next to each other in memory.
    top = tl.join(tl.join(tl.join(s0, t0), tl.join(s2, t2)), tl.join(tl.join(s1, t1), tl.join(s3, t3)))
    bottom = tl.join(tl.join(tl.join(u0, v0), tl.join(u2, v2)), tl.join(tl.join(u1, v1), tl.join(u3, v3)))
    target = out + picture * 16 + (row * 4 * width + column * 2)[:, None] * 4 + tl.arange(0, 8)
    dtype = out.dtype.element_ty
    tl.store(target, tl.reshape(top, (BLOCK, 8)).to(dtype), mask=inside[:, None])
    tl.store(target + width * 8, tl.reshape(bottom, (BLOCK, 8)).to(dtype), mask=inside[:, None])


def _convolve(
    x, weight, bias, scale, shift, out, height, width, eps,
    C: tl.constexpr, D: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Compute some pixels of the output. The three neighbouring pixels under a row of weights are one vector of 3 C
    values, padded to a power of two."""
    picture = tl.program_id(1).to(tl.int64) * height * width
    pixels = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    exists = pixels < height * width
    row, first = pixels // width, (pixels % width * 2 - 1) * C
    values, channels = tl.arange(0, WIDE), tl.arange(0, D)
    accumulator = tl.zeros([BLOCK, D], tl.float32)
    for i in tl.static_range(3):
        line = row * 2 - 1 + i
        inside = (exists & (line >= 0))[:, None] & (first[:, None] + values >= 0) & (values < 3 * C)
        source = x + picture * (4 * C) + (line * 2 * width * C + first)[:, None] + values
        pixels_of_row = tl.load(source, mask=inside, other=0.0)
        taps = tl.load(weight + (i * WIDE + values[:, None]) * D + channels)
        accumulator = tl.dot(pixels_of_row, taps, accumulator, input_precision="ieee")
    accumulator += tl.load(bias + channels).to(tl.float32)
    accumulator -= (tl.sum(accumulator, 1) / D)[:, None]
    accumulator *= tl.rsqrt(tl.sum(accumulator * accumulator, 1) / D + eps)[:, None]
    accumulator = gelu(
        accumulator * tl.load(scale + channels).to(tl.float32) + tl.load(shift + channels).to(tl.float32)
    )
    target = out + (picture + pixels[:, None]) * D + channels
    tl.store(target, accumulator.to(out.dtype.element_ty), mask=exists[:, None])


if triton is not None:
    _upsample, _mask, _mask_row = (triton.jit(function) for function in (_upsample, _mask, _mask_row))
    _channel, _weights, _normalise = (triton.jit(function) for function in (_channel, _weights, _normalise))
    _from_logits, _convolve = triton.jit(_from_logits), triton.jit(_convolve)


def from_logits(
    logits: Tensor, prompted: bool, convolution: nn.Conv2d, norm: nn.LayerNorm, dtype: torch.dtype
) -> Tensor:
    """Upsample mask logits by 4 and scale them to -10 .. 10; apply a convolution, layer norm over its channels, GELU.

    Args:
        logits: [N, h, w].
        prompted: whether the mask is 1 where logits are above 0, and 0 elsewhere; else it is their sigmoid.
        convolution: from 1 to 4 channels, 3 x 3 with stride 2 and padding.
        norm: of 4 channels.
        dtype: of the result.

    Returns:
        [N, 4, 2 h, 2 w], channels last in memory.
    """
    n, h, w = logits.shape
    out = torch.empty(n, 2 * h, 2 * w, 4, dtype=dtype, device=logits.device)
    with torch.cuda.device_of(logits):  # Triton launches on the current device
        _from_logits[triton.cdiv(h * w, PIXELS), n](
            logits.float().contiguous(), convolution.weight, convolution.bias, norm.weight, norm.bias, out,
            h, w, norm.eps, PROMPTED=prompted, BLOCK=PIXELS,
        )  # fmt: skip
    return out.movedim(-1, 1)


def convolve(x: Tensor, weight: Tensor, bias: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Apply a 3 x 3 convolution with stride 2 and padding, layer norm over its channels, and GELU.

    Args:
        x: [N, C, H, W], channels last in memory; H and W are even; C is 4 or 16.
        weight: [3, 3 C and more, D] of x's dtype, `packed`; D is a power of two, 16 or more.
        bias: [D].
        norm: of D channels.

    Returns:
        [N, D, H / 2, W / 2] of x's dtype, channels last in memory.
    """
    n, c, h, w = x.shape
    assert x.is_contiguous(memory_format=torch.channels_last) and h % 2 == w % 2 == 0
    _, wide, d = weight.shape
    out = torch.empty(n, h // 2, w // 2, d, dtype=x.dtype, device=x.device)
    with torch.cuda.device_of(x):  # Triton launches on the current device
        _convolve[triton.cdiv(h * w // 4, PIXELS), n](
            x, weight, bias, norm.weight, norm.bias, out, h // 2, w // 2, norm.eps,
            C=c, D=d, WIDE=wide, BLOCK=PIXELS, num_warps=max(4, d // 8),
        )  # fmt: skip
    return out.movedim(-1, 1)


def packed(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Weight [D, C, 3, 3] of a convolution -> [3, 3 C padded with zeros to a power of two, D], row by row."""
    rows = weight.permute(2, 3, 1, 0).flatten(1, 2).to(dtype)
    return F.pad(rows, (0, 0, 0, triton.next_power_of_2(rows.shape[1]) - rows.shape[1])).contiguous()
