"""An object of an annotation project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PROPOSED, OPEN, VERIFIED, REJECTED = "proposed", "open", "verified", "rejected"
STATES = (PROPOSED, OPEN, VERIFIED, REJECTED)
"""An automatic masklet is `proposed` until somebody looks at it. What is annotated is `open`. What somebody else found
satisfactory is `verified`; what is no object is `rejected`."""


@dataclass(frozen=True)
class AnnotatedObject:
    """An object, without its masks."""

    object_id: int
    label: str
    attributes: Mapping[str, str]
    state: str
    """One of `STATES`."""
    reason: str
    """Why it was rejected, or found unsatisfactory; empty: no reason was given."""
    author: str
    """Who made it."""
    action_id: int
    """The action that changed it last."""


@dataclass(frozen=True)
class Extent:
    """On how many frames an object has masks."""

    known: int
    """Frames on which it is known whether the object is visible."""
    annotated: int
    """Those among the frames that are annotated one by one in phase 1."""
    visible: int
    """Frames on which it is visible."""
    iou: float
    """Mean of its predicted IoU there, 0 .. 1; 0: it is never visible."""
    action_id: int
    """The action that changed one of its masks last."""
