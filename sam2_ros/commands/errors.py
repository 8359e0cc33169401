"""Errors that commands show to users, as one line."""

from __future__ import annotations

from sam2_ros.checkpoints.errors import CheckpointError

ERRORS = (CheckpointError, OSError, ValueError, MemoryError, ImportError)
"""Those that the user can do something about; others are bugs, and show where."""
