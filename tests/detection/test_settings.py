"""The settings of the policy for detections."""

from __future__ import annotations

from sam2_ros.detection.settings import DO, DetectionSettings


def test_what_detections_do() -> None:
    settings = [DetectionSettings(do=do) for do in DO]
    assert [(one.starts, one.corrects) for one in settings] == [(True, False), (False, True), (True, True)]
