"""The error raised by readers of exported graphs."""

from __future__ import annotations


class GraphError(RuntimeError):
    """Exported graphs are missing, unreadable, or of another network; the message names the file and what to do."""


EXPORT_AGAIN = "`python -m sam2_ros.deployment` writes it beside the graphs; export them again."
"""Advice about a damaged or missing file."""
