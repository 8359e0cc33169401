"""The prompts of an object."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sam2_ros.model.config import CONFIGS
from sam2_ros.tracking.memory_bank import MemoryBank
from sam2_ros.tracking.prompt import MAX_CLICKS, Box, Click, Prompt, PromptError
from sam2_ros.tracking.tracked_object import TrackedObject

ONE, OTHER = Click(3.0, 4.0), Click(5.0, 6.0, False)


@pytest.fixture
def tracked() -> TrackedObject:
    return TrackedObject(1, "cup", MemoryBank(CONFIGS["default"], 4, 2))


def test_clicks_accumulate_until_a_box_or_mask_replaces_them(tracked: TrackedObject) -> None:
    box = Box(1, 2, 3, 4)
    assert tracked.add_prompt(5, Prompt(clicks=(ONE,))) == (None, (ONE,))
    assert tracked.add_prompt(5, Prompt(clicks=(OTHER,))) == (None, (ONE, OTHER))
    assert tracked.add_prompt(6, Prompt(clicks=(OTHER,))) == (None, (OTHER,)), "of another frame"
    assert tracked.add_prompt(5, Prompt(box=box)) == (box, ())
    assert tracked.add_prompt(5, Prompt(clicks=(ONE,))) == (box, (ONE,))
    assert tracked.add_prompt(5, Prompt(mask=np.ones((4, 4), bool), clicks=(OTHER,))) == (None, (OTHER,))


def test_too_many_clicks_are_refused(tracked: TrackedObject) -> None:
    tracked.add_prompt(0, Prompt(clicks=(ONE,) * MAX_CLICKS))
    with pytest.raises(PromptError, match="clicks on one frame"):
        tracked.add_prompt(0, Prompt(clicks=(ONE,)))
    assert len(tracked.prompts[0][1]) == MAX_CLICKS


def test_prompts_of_forgotten_frames_are_dropped(tracked: TrackedObject) -> None:
    for index in range(3):
        tracked.add_prompt(index, Prompt(clicks=(ONE,)))
        tracked.untracked_frames.add(index)
        tracked.bank.remember_prompted(index, torch.zeros(64, 2, 2), torch.zeros(256))
        tracked.drop_forgotten_prompts()
    assert list(tracked.prompts) == [0, 2] and tracked.untracked_frames == {0, 2}


def test_copies_are_independent(tracked: TrackedObject) -> None:
    twin = tracked.copy()
    twin.add_prompt(0, Prompt(clicks=(ONE,)))
    twin.untracked_frames.add(0)
    twin.bank.remember_prompted(0, torch.zeros(64, 2, 2), torch.zeros(256))
    assert not tracked.prompts and not tracked.untracked_frames and not tracked.bank.prompted
