"""What page and server say to each other."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

Event = dict[str, Any]
"""A JSON object with `type`."""


def to_json(event: Event) -> str:
    """The event as JSON. NumPy's numbers and arrays become plain ones, NaN and infinities null."""
    try:
        return json.dumps(event, separators=(",", ":"), allow_nan=False, default=_plain)
    except ValueError:  # rare, and JavaScript reads no NaN
        return json.dumps(_finite(event), separators=(",", ":"), allow_nan=False)


def _plain(value: object) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def _finite(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
