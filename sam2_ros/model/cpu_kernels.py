"""Kernels for x86 CPUs that PyTorch lacks, written in C++: attention with values narrower than keys, rotation."""

from __future__ import annotations

import logging
import os
import platform
import shlex
import subprocess
import sys
from ctypes import CDLL, POINTER, Structure, byref, c_float, c_long, c_void_p
from functools import lru_cache
from hashlib import sha256
from math import e, log2
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

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


def has_cpu_kernels(dtype: torch.dtype) -> bool:
    """Whether they are there: float32 takes AVX2, bfloat16 AMX, both a C++ compiler, when they are first asked for."""
    library = _library()
    return library is not None and (dtype == torch.float32 or (dtype == torch.bfloat16 and library.tiles))


_looking = Lock()


def _library() -> CDLL | None:
    with _looking:
        return _library_of_this_processor()


@lru_cache(maxsize=1)
def _library_of_this_processor() -> CDLL | None:
    capability = torch.backends.cpu.get_cpu_capability()
    if platform.machine() != "x86_64" or sys.platform != "linux" or capability not in INSTRUCTIONS:
        return None
    for tiles in (True, False) if AMX and capability == "AVX512" else (False,):
        try:
            return load(capability, tiles)
        except (OSError, subprocess.SubprocessError) as error:  # compilers since GCC 11 know tiles
            why = str(getattr(error, "stderr", None) or error)[:1000]
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
    place = Path("kernels", f"cpu-{kind}.so")
    try:
        return _opened(cache_folder() / place, tiles)
    except OSError:  # it isn't there, or is damaged, or was built beside another C library
        log.info("building kernels for this CPU")
    with TemporaryDirectory() as scratch:
        built = Path(scratch, place.name)
        _compile(options, built)
        try:
            return _opened(_kept(built, cache_folder() / place), tiles)
        except OSError as error:
            log.info("they cannot be kept, and are built anew at every start: %s", error)
            return _opened(built, tiles)


def _compile(options: list[str], to: Path) -> None:
    """By $CXX or else by g++."""
    compilers = [shlex.split(os.environ.get("CXX", "")), ["g++"]]
    for compiler in filter(None, compilers):
        command = [*compiler, *options, str(SOURCE), "-o", str(to)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, errors="replace", timeout=120)
            return
        except (OSError, subprocess.SubprocessError):
            if compiler is compilers[-1]:
                raise


def _kept(built: Path, place: Path) -> Path:
    """A copy of it there, which appears at once and whole, whoever else is doing the same."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=place.parent) as scratch, open(Path(scratch, place.name), "wb") as file:
        file.write(built.read_bytes())
        file.flush()
        os.fsync(file.fileno())
        return Path(file.name).replace(place)


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
        valid: bool [B, K], False for keys to leave out; None: all count. Where many in a row are left out, they cost
            little. Their weight is 2^-100, not 0, so that they must be finite and not huge.
        library: that of `load`; None: this processor's.

    Returns:
        [B, heads, Q, d]; 0 where no key counts.
    """
    b, heads, q, c = query.shape
    k, d = value.shape[2:]
    out = query.new_empty(b, heads, q, d)
    if not out.numel():
        return out
    query, key, value = (_in_words(x) for x in (query, key, value))
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


def _in_words(x: Tensor) -> Tensor:
    """x, laid out such that each token begins with a word of 32 bits."""
    odd = x.dtype == torch.bfloat16 and any(stride % 2 for stride in x.stride()[:-1])
    if x.stride(-1) == 1 and x.data_ptr() % 4 == 0 and not odd:
        return x
    return x.clone(memory_format=torch.contiguous_format)


def rotates_in_place(x: Tensor) -> bool:
    """Whether tokens x [B, T, C] are laid out as `rotate_in_place` takes them: bfloat16, each in its own place, C a
    multiple of 32, channels next to each other."""
    even = not any(stride % 2 or not stride for stride in x.stride()[:2]) and x.storage_offset() % 2 == 0
    return x.dtype == torch.bfloat16 and x.shape[2] % 32 == 0 and x.stride(2) == 1 and even


def rotate_in_place(x: Tensor, rotation: Tensor, unplaced: int = 0) -> None:
    """What `position.rotate` gives, written over x.

    Args:
        x: bfloat16 [B, T, C] as `rotates_in_place` says.
        rotation: complex64 [cells, C / 2].
        unplaced: so many of the last tokens stay as they are; the others are whole grids of cells.
    """
    b, tokens, c = x.shape
    placed = tokens - unplaced
    assert placed % len(rotation) == 0, f"{placed} tokens are no whole grids of {len(rotation)}"
    turns = torch.view_as_real(rotation).contiguous()
    strides = x.stride(0) // 2, x.stride(1) // 2  # in words of two channels
    _library().rotate_bfloat16(
        *(x.data_ptr(), turns.data_ptr(), b, placed, c // 2, *strides, len(rotation), torch.get_num_threads())
    )


torch.library.define("sam2_ros::rotate_in_place", "(Tensor(a!) x, Tensor rotation, int unplaced) -> ()")
torch.library.impl("sam2_ros::rotate_in_place", "CPU", rotate_in_place)
torch.library.register_fake("sam2_ros::rotate_in_place", lambda x, rotation, unplaced: None)
