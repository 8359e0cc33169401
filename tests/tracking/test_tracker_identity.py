"""Objects keep their identity while they are hidden or out of the image: the default weights on the demo's clip."""

from __future__ import annotations

import numpy as np
import pytest

import sam2_ros
from sam2_ros import Click, Prompt
from sam2_ros.scenes.demo_scene import CAR, demo_scene


@pytest.mark.slow
def test_a_car_keeps_its_id_behind_a_pot_and_out_of_the_image() -> None:
    """One click; a look-alike stands beside it. Every other image, as from a camera with 12 images a second."""
    clip = demo_scene(181)
    tracker = sam2_ros.Tracker(sam2_ros.load_model(device="cpu"))
    rows, columns = np.nonzero(clip.masks[0][clip.object_ids.index(CAR)])
    scores, present = {}, {}
    for index in range(0, len(clip), 2):
        frame = tracker.step(clip.frames[index], index * 10**9 // 24)
        if index == 0:
            tracker.prompt(Prompt(clicks=(Click(float(columns.mean()), float(rows.mean())),), label="red car"))
            continue
        (car,) = frame.masklets
        truth = clip.masks[index][clip.object_ids.index(CAR)]
        assert (car.object_id, car.label) == (1, "red car")
        present[index] = car.present
        if truth.any():
            scores[index] = (car.mask & truth).sum() / (car.mask | truth).sum()
    assert not any(present[index] for index in range(122, 146, 2)), "it is known to be away"
    assert np.mean([scores[index] for index in range(94, 110, 2)]) > 0.7, "found again behind the pot"
    assert np.mean([scores[index] for index in range(166, 180, 2)]) > 0.7, "found again when it came back"
