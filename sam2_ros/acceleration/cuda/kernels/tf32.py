"""Rounding within kernels to TF32, the part of float32 that tensor cores multiply. Written in Triton."""

from __future__ import annotations

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # PyTorch for CPUs comes without it
    triton = None


def nearest(x):
    """The nearest TF32 number: tensor cores themselves truncate the last 13 bits, which makes all products smaller."""
    return (x.to(tl.int32, bitcast=True) + 0x1000).to(tl.float32, bitcast=True)


if triton is not None:
    nearest = triton.jit(nearest)
