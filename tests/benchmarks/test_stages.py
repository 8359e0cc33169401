from __future__ import annotations

import numpy as np
from clock import Clock
from small_network import default_network
from stages import STAGES, TRACK, watch_stages

from sam2_ros.tracking.prompt import Click, Prompt
from sam2_ros.tracking.tracker import Tracker


def test_all_stages_of_a_step_are_timed() -> None:
    tracker = Tracker(default_network())
    image = np.zeros((48, 64, 3), np.uint8)
    tracker.step(image)
    tracker.prompt(Prompt(clicks=(Click(30, 20),)))
    clock = Clock("cpu")
    watch_stages(clock, tracker)
    with clock.step():
        tracker.step(image)
    assert clock.seconds.keys() == {*STAGES, "all"} - {TRACK}
    assert 0 < sum(clock.seconds[stage] for stage in STAGES) <= clock.seconds["all"]
