"""Counts, rate and latency."""

from __future__ import annotations

import pytest

from sam2_ros.ros.meter import Meter


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
