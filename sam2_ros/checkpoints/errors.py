"""The error raised by readers and writers of weights."""

from __future__ import annotations


class CheckpointError(RuntimeError):
    """Weights are missing, unreadable, or made for another network; the message names the file and what to do."""
