"""Errors that pages show to people, as one line."""

from __future__ import annotations

import torch

from sam2_ros.checkpoints.errors import CheckpointError

ERRORS = (CheckpointError, OSError, ValueError, MemoryError, ImportError, torch.OutOfMemoryError)
"""Those that a person can do something about; others are bugs, and show where."""


def one_line(error: BaseException) -> str:
    """What to say of an error."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
