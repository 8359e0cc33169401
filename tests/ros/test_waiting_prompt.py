"""The properties of a waiting prompt."""

from __future__ import annotations

import pytest
from std_msgs.msg import Header

from sam2_ros.ros.waiting_prompt import Source, WaitingPrompt
from sam2_ros.tracking.prompt import Prompt


@pytest.mark.parametrize("unstamped", [False, True])
@pytest.mark.parametrize("other_clock", [False, True])
def test_unstamped_or_foreign_clock_means_the_newest_image(unstamped: bool, other_clock: bool) -> None:
    waiting = WaitingPrompt(Header(), Prompt(), 5, unstamped, 0.0, 1.0, Source(other_clock=other_clock), None)
    assert waiting.means_newest == (unstamped or other_clock)


@pytest.mark.parametrize(("object_id", "starts"), [(0, True), (1, False), (2, True)])
def test_prompt_starts_an_untracked_object(object_id: int, starts: bool) -> None:
    waiting = WaitingPrompt(Header(), Prompt(object_id), 5, False, 0.0, 1.0, Source(), None)
    assert waiting.starts_object({1}) == starts
