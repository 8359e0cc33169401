"""The settings of a live desk: its node's parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """What is sent to pages, and how much is kept. The fields are named as the parameters."""

    max_width: int = 1920
    """Pixels; 0: as wide as the images are."""
    picture_rate: float = 30.0
    """Pictures per second of each camera; 0: all."""
    jpeg_quality: int = 80
    picture_transport: Literal["node", "raw", "compressed"] = "node"
    kept_pictures: int = 64
    """For each camera."""
    kept_memory: int = 128
    """MiB of pictures of each camera."""
    timeline_minutes: float = 5.0
