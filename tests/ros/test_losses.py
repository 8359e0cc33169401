"""Dropped detections in the log."""

from __future__ import annotations

from sam2_ros.ros.losses import LOG_INTERVAL, Losses
from sam2_ros.ros.meter import Meter


def test_dropped_detections_are_logged_at_intervals() -> None:
    meter, now = Meter(), [100.0]
    losses = Losses(meter, lambda: now[0])
    meter.count("detections known", 5)
    assert losses.line() is None, "known detections are no losses"
    meter.count("detections in excess", 1300)
    meter.count("detections without room", 36)
    line = losses.line()
    assert line is not None and "1300 in excess" in line and "36 without room (max_objects" in line
    meter.count("detections in excess")
    assert losses.line() is None
    now[0] += LOG_INTERVAL
    assert "1 in excess" in (losses.line() or "")
    now[0] += LOG_INTERVAL
    assert losses.line() is None
