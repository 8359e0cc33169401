"""Counts, rate and latency."""

from __future__ import annotations

import pytest

from sam2_ros.ros.meter import WINDOW, Meter


def test_events_are_counted() -> None:
    meter = Meter()
    meter.count("received")
    meter.count("received", 4)
    assert meter["received"] == 5 and meter["dropped"] == 0


def test_rate_is_zero_without_images() -> None:
    assert Meter().summary() == {"rate": 0.0}


def test_latency_percentiles_are_in_milliseconds() -> None:
    meter = Meter()
    for number in range(1, 102):
        meter.frame_done(number / 1000, 0.005)
    summary = meter.summary()
    assert [summary[f"latency p{p}"] for p in (50, 90, 99)] == pytest.approx([51, 91, 100])
    assert summary["step p50"] == pytest.approx(5) and summary["rate"] > 0 and meter["processed"] == 101


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_recent_events_are_forgotten_after_the_window() -> None:
    clock = Clock()
    meter = Meter(clock)
    assert meter.recent("stray") is None
    meter.count("stray", 2, "far")
    clock.now += WINDOW / 2
    meter.count("stray", detail="farther")
    recent = meter.recent("stray")
    assert recent is not None and (recent.number, recent.detail) == (3, "farther")
    clock.now += WINDOW
    assert meter.recent("stray") is None
    meter.count("stray")
    recent = meter.recent("stray")
    assert recent is not None and recent.number == 1 and meter["stray"] == 4


def test_arrival_rate_counts_the_images_of_the_window() -> None:
    clock = Clock()
    meter = Meter(clock)
    for _ in range(40):
        clock.now += 0.5
        meter.arrived()
    assert meter.arrival_rate == pytest.approx(2.0) and meter["received"] == 40
    clock.now += WINDOW
    assert meter.arrival_rate == 0.0


def test_only_the_images_of_the_window_are_kept() -> None:
    clock = Clock()
    meter = Meter(clock)
    for _ in range(300):
        clock.now += 0.5
        meter.arrived()
        meter.frame_done(0.01, 0.005)
    assert len(meter._arrivals) == len(meter._frames) == WINDOW / 0.5
