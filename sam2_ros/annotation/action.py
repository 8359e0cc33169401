"""What somebody did in an annotation project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Action:
    """One action: who did what, when, and how long it took."""

    action_id: int
    time: float
    """When it was done, s since 1970."""
    annotator: str
    kind: str
    """Such as "mask", "propagate", "label", "verdict", "undo"."""
    object_id: int | None
    frame: int | None
    phase: int | None
    seconds: float
    """How long the person took."""
    detail: Mapping[str, Any]
    """What else is to be known, such as the numbers of clicks."""
    undoes: int | None
    """The action that this one undoes."""
    undone_by: int | None
    """The action by which this one was undone."""
