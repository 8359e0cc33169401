"""Errors that pages show to people, as one line."""

from __future__ import annotations

import torch

from sam2_ros.checkpoints.errors import CheckpointError

ERRORS = (CheckpointError, OSError, ValueError, MemoryError, ImportError, torch.OutOfMemoryError)
"""Those that a person can do something about; others are bugs, and show where."""
