"""Flash attention on CPUs with values narrower than keys, which PyTorch's kernel does not support."""

from __future__ import annotations

from ctypes import CDLL, Structure, byref, c_float, c_long, c_void_p
from math import e, log2

import torch
from torch import Tensor

from sam2_ros.acceleration.cpu.kernels.library import kernels


class Call(Structure):
    """Mirrors `Call` of attention.cpp."""

    _fields_ = (
        *((name, c_void_p) for name in ("query", "key", "value")),
        *((name, c_long * 3) for name in ("query_strides", "key_strides", "value_strides")),
        *((name, c_void_p) for name in ("valid", "out", "columns")),
        *((name, c_long) for name in ("batch", "heads", "queries", "keys", "width", "value_width", "threads")),
        ("scale", c_float),
    )


def cpu_attention(
    query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None = None, library: CDLL | None = None
) -> Tensor:
    """softmax(query key' / sqrt(c)) value, without all scores in memory at once; has no backward pass.

    Args:
        query: [B, heads, Q, c], float32 or bfloat16 (see `has_cpu_kernels`); c is even.
        key: [B, heads, K, c].
        value: [B, heads, K, d].
        valid: bool [B, K], False for keys to leave out; None: all count. Long runs of invalid keys are skipped. Single
            ones get a weight of 2^-100, not 0, so they must be finite and not huge.
        library: result of `load`; None: that of this CPU.

    Returns:
        [B, heads, Q, d]; 0 where no key is valid.
    """
    b, heads, q, c = query.shape
    k, d = value.shape[2:]
    out = query.new_empty(b, heads, q, d)
    if not out.numel():
        return out
    query, key, value = (_aligned(x) for x in (query, key, value))
    columns = query.new_empty(b, heads, d, k + k % 2) if query.dtype == torch.bfloat16 else None
    if valid is not None:
        valid = valid.contiguous()
    call = Call(
        *(x.data_ptr() for x in (query, key, value)),
        *((c_long * 3)(*x.stride()[:3]) for x in (query, key, value)),
        *(x if x is None else x.data_ptr() for x in (valid, out, columns)),
        *(b, heads, q, k, c, d, torch.get_num_threads()),
        c**-0.5 * log2(e),
    )
    library = library or kernels()
    (library.attend_float32 if query.dtype == torch.float32 else library.attend_bfloat16)(byref(call))
    return out


def _aligned(x: Tensor) -> Tensor:
    """x, or a copy of it, with contiguous channels and every token aligned to 32 bits."""
    odd = x.dtype == torch.bfloat16 and any(stride % 2 for stride in x.stride()[:-1])
    if x.stride(-1) == 1 and x.data_ptr() % 4 == 0 and not odd:
        return x
    return x.clone(memory_format=torch.contiguous_format)
