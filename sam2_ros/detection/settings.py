"""The settings of the policy for detections."""

from __future__ import annotations

from dataclasses import dataclass

DO = ("start", "correct", "both")
"""What detections may do: start objects, correct those that are tracked, or both."""


@dataclass(frozen=True)
class DetectionSettings:
    """What detections do, and when."""

    do: str = "both"
    """One of `DO`."""
    confirm: int = 2
    """Detector frames on which a new thing must have been detected before an object starts, at least 1."""
    confirm_within: int = 3
    """Number of the latest detector frames among which those are counted; at least `confirm` are."""
    max_overlap: float = 0.3
    """Maximum IoU of a new object's box with those of tracked objects, 0 .. 1; twice as much with those that have
    another detection in the same message."""
    correct_below: float = 0.6
    """IoU of a masklet's box with its detection, 0 .. 1, below which it may have drifted."""
    trust_above: float = 0.7
    """IoU from which on it has not, 0 .. 1. In between, earlier doubts stay."""
    correct_after: int = 3
    """Detections in a row that must disagree with a masklet before it is corrected, at least 1."""
    correct_all: bool = False
    """Whether objects that a person has prompted may be corrected, too."""

    @property
    def starts(self) -> bool:
        """Whether detections start objects."""
        return self.do != "correct"

    @property
    def corrects(self) -> bool:
        """Whether detections correct objects."""
        return self.do != "start"
