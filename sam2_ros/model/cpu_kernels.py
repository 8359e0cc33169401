"""Kernels for x86 CPUs that PyTorch lacks, written in C++: attention with values narrower than keys, rotation."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import subprocess
import sys
from ctypes import CDLL, POINTER, Structure, byref, c_float, c_long, c_void_p
from functools import lru_cache
from hashlib import sha256
from math import e, log2
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from sam2_ros.model.cache import cache_folder

log = logging.getLogger("sam2_ros")

SOURCE = Path(__file__).with_name("cpu_kernels.cpp")

INSTRUCTIONS = {
    "AVX2": ["-mavx2", "-mfma"],
    "AVX512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"],
    "AMX": ["-mavx512bf16", "-mamx-tile", "-mamx-bf16"],
}
"""What the compiler may use, by what the processor has: each includes those before."""

AMX = all(getattr(torch.cpu, f"_is_{it}_supported", bool)() for it in ("amx_tile", "avx512_bf16"))
"""Whether the CPU multiplies tiles of bfloat16."""


class Call(Structure):
    """As in cpu_kernels.cpp."""

    _fields_ = (
        *((name, c_void_p) for name in ("query", "key", "value")),
        *((name, c_long * 3) for name in ("query_strides", "key_strides", "value_strides")),
        *((name, c_void_p) for name in ("valid", "out", "columns")),
        *((name, c_long) for name in ("batch", "heads", "queries", "keys", "width", "value_width", "threads")),
        ("scale", c_float),
    )


@torch.compiler.assume_constant_result
def has_cpu_kernels(dtype: torch.dtype) -> bool:
    """Whether they are there: float32 takes AVX2, bfloat16 AMX, both a C++ compiler, when they are first asked for."""
    library = _library()
    return library is not None and (dtype == torch.float32 or (dtype == torch.bfloat16 and library.tiles))


@lru_cache(maxsize=1)
def _library() -> CDLL | None:
    capability = torch.backends.cpu.get_cpu_capability()
    if platform.machine() != "x86_64" or sys.platform != "linux" or capability not in INSTRUCTIONS:
        return None
    try:
        return load(capability, AMX and capability == "AVX512")
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:  # RuntimeError: a user without a home
        why = (getattr(error, "stderr", None) or str(error))[:1000]
        log.warning("without its kernels for CPUs, which take a C++ compiler (apt install g++), all is slower: %s", why)
        return None


def load(capability: str, tiles: bool) -> CDLL:
    """The kernels for a processor with "AVX2" or "AVX512", and with AMX: compiled once, in seconds, and then kept in
    `cache_folder()`, or nowhere where that cannot be written.

    Raises:
        OSError: there is no compiler.
        subprocess.SubprocessError: it failed.
    """
    options = ["-std=c++17", "-O3", "-fopenmp", "-shared", "-fPIC", *INSTRUCTIONS[capability]]
    options += INSTRUCTIONS["AMX"] if tiles else []
    kind = sha256(SOURCE.read_bytes() + " ".join(options).encode()).hexdigest()[:16]
    kept = cache_folder() / "kernels" / f"cpu-{kind}.so"
    if not kept.exists():
        log.info("building kernels for this CPU, once, into %s", kept)
        with TemporaryDirectory() as scratch:
            built = Path(scratch) / kept.name
            command = [os.environ.get("CXX") or "g++", *options, str(SOURCE), "-o", str(built)]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
            try:
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(built, beside := kept.with_suffix(f".{os.getpid()}"))
                beside.replace(kept)  # at once, whoever else is doing the same
            except OSError:
                return _opened(built, tiles)
    return _opened(kept, tiles)


def _opened(path: Path, tiles: bool) -> CDLL:
    library = CDLL(str(path))
    library.attend_float32.argtypes = [POINTER(Call)]
    library.tiles = tiles and bool(library.may_use_tiles())
    if tiles:
        library.attend_bfloat16.argtypes = [POINTER(Call)]
        library.rotate_bfloat16.argtypes = [c_void_p] * 2 + [c_long] * 7
    return library


def cpu_attention(
    query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None = None, library: CDLL | None = None
) -> Tensor:
    """softmax(query key' / sqrt(c)) value, without all scores ever being in memory; forwards only.

    Args:
        query: [B, heads, Q, c], float32 or bfloat16 as `has_cpu_kernels` says; c is even.
        key: [B, heads, K, c].
        value: [B, heads, K, d].
        valid: bool [B, K], False for keys to leave out; None: all count. Each row has one True at least. Where many in
            a row are left out, they cost nothing. Values that are left out must be finite.
        library: that of `load`; None: this processor's.

    Returns:
        [B, heads, Q, d].
    """
    b, heads, q, c = query.shape
    k, d = value.shape[2:]
    query, key, value = (_words(x) for x in (query, key, value))
    out = query.new_empty(b, heads, q, d)
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
    library = library or _library()
    (library.attend_float32 if query.dtype == torch.float32 else library.attend_bfloat16)(byref(call))
    return out


def _words(x: Tensor) -> Tensor:
    """x, laid out such that each token begins with a word of 32 bits."""
    whole = x.stride(3) == 1 and (x.dtype == torch.float32 or not any(stride % 2 for stride in x.stride()[:3]))
    return x if whole and x.data_ptr() % 4 == 0 else x.contiguous()


def rotate_in_place(x: Tensor, rotation: Tensor, unplaced: int = 0) -> Tensor:
    """What `position.rotate` gives, written over x.

    Args:
        x: bfloat16 [B, T, C], C a multiple of 32, channels next to each other in memory.
        rotation: complex64 [cells, C / 2].
        unplaced: so many of the last tokens stay as they are; the others are whole grids of cells.

    Returns:
        x.
    """
    b, tokens, c = x.shape
    turns = torch.view_as_real(rotation).contiguous()
    strides = x.stride(0) // 2, x.stride(1) // 2  # in words of two channels
    _library().rotate_bfloat16(
        x.data_ptr(), turns.data_ptr(), b, tokens - unplaced, c // 2, *strides, len(rotation), torch.get_num_threads()
    )
    return x
