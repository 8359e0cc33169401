"""Settings of the process's memory allocator."""

from __future__ import annotations

import ctypes
from pathlib import Path

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -3, -4, -8  # glibc's malloc.h
_LARGEST_KEPT = 2**25
"""Bytes of the largest blocks that glibc can take from memory that was kept, in all threads."""
_SHORT = 0.125
"""Share of the machine's memory: if less is available, what was kept is given back."""


def limit_heaps(number: int) -> bool:
    """Limit the number of heaps. Call it before threads start, since there may be more already.

    By default glibc has eight for each core. Each keeps freed memory of its own, so that a process with many threads
    grows by that of all of them.

    Returns:
        Whether the allocator of this process supports it (glibc's does).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_ARENA_MAX, number) == 1


def keep_freed_memory(most: int | None = None) -> bool:
    """Keep freed memory for the next frame instead of giving it back to the system. Call it before the first frame.

    A network on a CPU allocates the same large blocks in every frame. By default glibc returns them to the system,
    which maps and zeroes them anew: a tenth of the image encoder's time at 1024 pixels, and a fifth of the time that a
    node spends beside the network on images of 1280x720.

    Args:
        most: bytes that each heap keeps at its end; blocks of more than 32 MB are not kept. None: all is kept, and the
            process never shrinks.

    Returns:
        Whether the allocator of this process supports it (glibc's does).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    options: tuple[tuple[int, int], ...]
    if most is None:
        options = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**26))
    else:
        options = ((_M_MMAP_THRESHOLD, _LARGEST_KEPT), (_M_TRIM_THRESHOLD, most))
    return all([mallopt(*option) == 1 for option in options])


def give_back_if_short() -> bool:
    """Give freed memory that was kept back to the system, if less than an eighth of the machine's memory is available.

    Call it between two steps of something that needs much memory for a moment, as a step of training does: two
    processes that keep all they have freed could fill a machine which has room for what both of them use.

    Returns:
        Whether any was given back.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and _available() < _SHORT and trim(0) == 1


def _available() -> float:
    """Share of the machine's memory that processes can still get, 0 .. 1; 1: the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 1.0
    kilobytes = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines)}
    return kilobytes["MemAvailable"] / kilobytes["MemTotal"]
