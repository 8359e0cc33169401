"""Probes of a device: whether Triton works on it, and the precision of autocast."""

from __future__ import annotations

import logging
from functools import lru_cache

import torch
from torch import Tensor

from sam2_ros.acceleration.cuda.kernels import rotation

log = logging.getLogger("sam2_ros")

MIN_CAPABILITY = 8, 0
"""Minimum compute capability for our kernels: Ampere."""


@lru_cache(maxsize=16)
def triton_works(device: torch.device) -> bool:
    """Whether Triton can build and launch our kernels: it needs a C compiler, which robots may lack.

    On a CPU it works in Triton's interpreter (TRITON_INTERPRET=1).
    """
    if rotation.triton is None:
        return False
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < MIN_CAPABILITY:
        return False
    try:
        unit = torch.ones(1, 8, dtype=torch.complex64, device=device)
        rotation.rotate_in_place(torch.zeros(1, 1, 16, dtype=torch.bfloat16, device=device), unit)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever the reason, PyTorch's own kernels compute the same
        log.warning("Triton's kernels are left out, which is slower: %s", error)
        return False
    return True


def suits_triton(device: torch.device, *widths: int) -> bool:
    """Whether our kernels can work on widths, which have to be powers of two, on a device."""
    return not any(width & (width - 1) for width in widths) and triton_works(device)


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """The precision in which autocast computes on the device of x; None: autocast is disabled here."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
