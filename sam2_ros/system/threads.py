"""CPU threads of the network."""

from __future__ import annotations

import os

MAX_SMALL_IMAGE_SIZE = 512
"""Input size up to which PyTorch's operations are too small to gain from all cores, since threads have to be woken for
each (docs/speed.md, "Threads of one operation")."""


def network_threads(image_size: int, encode_ahead: bool, kernels: bool) -> int:
    """Number of CPU threads per operation, if not configured.

    One per core; of more than two cores, one is left to the rest of the robot. Small images are encoded ahead on one
    half of the cores while objects are tracked on the other half, unless our kernels for CPUs run whole parts of the
    network as one operation each.
    """
    cores = len(os.sched_getaffinity(0))
    if encode_ahead and image_size <= MAX_SMALL_IMAGE_SIZE and not kernels:
        return max(1, cores // 2)
    return cores if cores <= 2 else cores - 1
