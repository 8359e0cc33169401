"""How often passes are committed."""

from __future__ import annotations

import pytest

from sam2_ros.recordings import pass_progress
from sam2_ros.recordings.pass_progress import COMMIT_SHARE, Pace


class Clock:
    """Stands for the module `time`."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class SlowStore:
    """Takes some time for each commit."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.seconds = 0.0
        self.commits: list[float] = []

    def commit(self, name: str, next_frame: int, state: bytes) -> None:
        self.commits.append(self._clock.now)
        self._clock.now += self.seconds


class Idle:
    """A tracker without objects."""

    def state(self) -> dict[str, object]:
        return {}


@pytest.mark.parametrize(("seconds", "period"), [(0.0, 2.0), (0.5, 2.0), (0.01, 2.0), (0.5, 0.0)])
def test_slow_commits_are_rare(seconds: float, period: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(pass_progress, "time", clock)
    store, pace = SlowStore(clock), Pace(period)
    store.seconds = seconds
    for index in range(10_000):  # ten images a second
        clock.now += 0.1
        pace.commit(store, "forwards", index + 1, Idle())
    if not period:
        assert len(store.commits) == 10_000, "after every image, whatever it costs"
        return
    assert seconds * len(store.commits) < 1.01 * COMMIT_SHARE * (clock.now - 100)
    expected = max(period, seconds / COMMIT_SHARE)
    assert (clock.now - 100) / len(store.commits) == pytest.approx(expected, rel=0.1)
    assert store.commits[0] == pytest.approx(102.0, abs=0.2)
