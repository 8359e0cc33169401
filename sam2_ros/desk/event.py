"""What page and server say to each other."""

from __future__ import annotations

from typing import Any

Event = dict[str, Any]
"""A JSON object with `type`."""
