"""The whole network on CPUs."""

from __future__ import annotations

from sam2_ros.acceleration.cached import CachedSAM2
from sam2_ros.acceleration.cpu.linear import linear


class CPUSAM2(CachedSAM2):
    """Computes the skip connections by oneDNN's matrix product where it is faster."""

    linear = staticmethod(linear)
