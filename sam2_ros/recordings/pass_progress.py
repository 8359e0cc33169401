"""Where a pass over a recording has come: the state of its tracker in the store, from time to time."""

from __future__ import annotations

import io
import time
from typing import Any

import torch

from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.tracking.tracker import Tracker

COMMIT_PERIOD = 2.0
"""Seconds between commits, unless they are slow. What is computed in between is lost if the process is killed."""

COMMIT_SHARE = 0.02
"""Maximum share of the time that commits may take."""


def taken_up(name: str, first: int, tracker: Tracker, store: MaskletStore) -> int | None:
    """Bring the tracker to where a pass was left. Returns the index of the next image; None: the pass is done."""
    tracker.reset()
    earlier = store.pass_state(name)
    if earlier is None:
        return first
    if earlier.done or earlier.state is None:
        return None
    tracker.restore(from_bytes(earlier.state))
    return earlier.next_frame


class Pace:
    """Commits that take no more than a small share of the time.

    Args:
        period: seconds, at least, between commits.
    """

    def __init__(self, period: float) -> None:
        self._period = self._wait = period
        self._last = time.monotonic()

    def commit(self, store: MaskletStore, name: str, next_frame: int, tracker: Tracker) -> None:
        """Commit how far a pass has come, if it is time to."""
        began = time.monotonic()
        if began - self._last < self._wait:
            return
        store.commit(name, next_frame, to_bytes(tracker.state()))
        self._last = time.monotonic()
        self._wait = max(self._period, (self._last - began) / COMMIT_SHARE if self._period else 0)


def to_bytes(state: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def from_bytes(data: bytes) -> dict[str, Any]:
    return torch.load(io.BytesIO(data), weights_only=True)
