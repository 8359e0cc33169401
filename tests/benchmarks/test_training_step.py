from __future__ import annotations

from pathlib import Path

from training_step import Task, clip, measure

ROOT = str(Path(__file__).parents[2])


def test_clip_has_a_mask_of_each_object_on_each_frame() -> None:
    images, masks = clip(3, 2, 64, 96, seed=0)
    assert images.shape == (1, 3, 3, 64, 96)
    assert masks.shape == (2, 3, 64, 96)
    assert masks.any(axis=(2, 3)).all()
    assert (masks[:, 0] != masks[:, 2]).any(), "objects move"


def test_step_and_validation_take_time() -> None:
    task = Task("float32", "cpu", threads=1, clips=1, frames=2, objects=1)
    seconds = measure(task, {"this": ROOT}, steps=1, warm_up=0)
    assert [len(values["this"]) for values in seconds.values()] == [1, 1]
    assert all(values["this"][0] > 0.01 for values in seconds.values())
