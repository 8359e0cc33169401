"""The schedule of prompts, on folders of small images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from sam2_ros.data.timed_prompt import Moment, TimedPrompt
from sam2_ros.recordings.folder_recording import FolderRecording
from sam2_ros.recordings.schedule import Schedule, schedule
from sam2_ros.tracking.prompt import Box, Click, Prompt

HEIGHT, WIDTH, COUNT = 48, 64, 20


@pytest.fixture
def recording(tmp_path: Path) -> FolderRecording:
    """2 s at 10 images a second; images 4 and 5 are damaged, the last is larger."""
    for index in range(COUNT):
        scale = 2 if index == COUNT - 1 else 1
        cv2.imwrite(str(tmp_path / f"{index:02d}.png"), np.full((scale * HEIGHT, scale * WIDTH, 3), 9, np.uint8))
    for index in (4, 5):
        (tmp_path / f"{index:02d}.png").write_bytes(b"no picture")
    return FolderRecording(tmp_path, 10)


def click(when: str = "", object_id: int = 0, *, x: float = 5, positive: bool = True, **fields: object) -> TimedPrompt:
    """A click at (x, 6); `when` as on the command line."""
    prompt = Prompt(object_id, [Click(x, 6, positive)], **fields)  # type: ignore[arg-type]
    return TimedPrompt(prompt, Moment.parse(when) if when else None, f"--click {x:g},6" + (f"@{when}" if when else ""))


def summary(result: Schedule) -> list[tuple[int, int]]:
    """Frame and object of each prompt."""
    return [(scheduled.frame, scheduled.prompt.object_id) for scheduled in result.prompts]


def test_prompts_are_in_order_and_new_objects_numbered(recording: FolderRecording) -> None:
    given = [click("12"), click("0.3s"), click(), click("12", x=7)]
    result = schedule(given, recording)
    assert summary(result) == [(0, 1), (3, 2), (12, 3), (12, 4)]
    assert [scheduled.prompt.clicks[0].x for scheduled in result.prompts] == [5, 5, 5, 7]
    assert not result.left_out


def test_later_prompts_correct_the_object_that_they_name(recording: FolderRecording) -> None:
    """And no new object gets its number."""
    given = [click("9", 1, positive=False), click("2", 1, label="cup"), click("0"), click("1", 2), click("8")]
    assert summary(schedule(given, recording)) == [(0, 3), (1, 2), (2, 1), (8, 4), (9, 1)]


def test_as_the_node_an_id_is_that_which_the_node_has_chosen(recording: FolderRecording) -> None:
    given = [click("0"), click("1"), click("9", 1, positive=False), click("10", 7), click("11")]
    assert summary(schedule(given, recording, as_the_node=True)) == [(0, 1), (1, 2), (9, 1), (10, 7), (11, 8)]


def test_object_may_be_renamed_later(recording: FolderRecording) -> None:
    """As an operator does at the desk, whose prompts a bag has."""
    name = TimedPrompt(Prompt(1, label="cup"), Moment.parse("9"), "a name")
    result = schedule([name, click("2", 1)], recording, as_the_node=True)
    assert summary(result) == [(2, 1), (9, 1)] and not result.left_out
    assert result.prompts[1].prompt.only_names


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([click(x=64)], "--click 64,6: click (64, 6) is outside the image of 64 x 48 pixels"),
        ([click("99s")], "--click 5,6@99s: the recording is 2.0 s long"),
        ([click("20")], "--click 5,6@20: the recording has 20 images, 0 to 19"),
        ([click("4")], "--click 5,6@4: image 4 is damaged (04.png cannot be decoded"),
        ([click(positive=False)], "--click 5,6: only negative clicks; a new object needs"),
        ([click(object_id=1), click("3", 1, positive=False, replace=True)], "--click 5,6@3: only negative clicks"),
        ([TimedPrompt(Prompt(mask=np.ones((9, 9), bool)), None, "m.png")], "m.png: mask of 9 x 9 pixels for an image"),
        ([TimedPrompt(Prompt(box=Box(90, 1, 5, 5)), None, "a box")], "a box: box (90, 1, 5, 5) is outside the image"),
    ],
)
def test_first_wrong_prompt_is_named(recording: FolderRecording, given: Sequence[TimedPrompt], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        schedule(given, recording)
    assert "\n" not in str(caught.value)


def test_as_the_node_wrong_prompts_are_left_out(recording: FolderRecording) -> None:
    """They use up no number."""
    given = [click(x=64), click(), click("99s"), click("2", positive=False), click("3")]
    result = schedule(given, recording, as_the_node=True)
    assert summary(result) == [(0, 1), (3, 2)]
    reasons = ("is outside the image", "2.0 s long", "only negative")
    assert sorted(name.split(":")[0] for name in result.left_out) == [
        "--click 5,6@2",
        "--click 5,6@99s",
        "--click 64,6",
    ]
    assert all(any(reason in message for message in result.left_out) for reason in reasons)


def test_prompt_for_a_damaged_image_goes_to_the_nearest(recording: FolderRecording) -> None:
    """Except of a person who gave its number."""
    stamped = TimedPrompt(Prompt(clicks=[Click(5, 6)]), Moment(recording.stamps[5], "ns"), "stamped")
    assert summary(schedule([click("0.4s"), stamped], recording)) == [(3, 1), (6, 2)]


def test_sizes_are_those_of_the_prompted_image(recording: FolderRecording) -> None:
    assert summary(schedule([click("19", x=100)], recording)) == [(19, 1)]


def test_stretch(recording: FolderRecording) -> None:
    """Numbers and seconds are those of the whole recording; without them, the first image of the stretch is meant."""
    stretch = recording.stretch(8, 15)
    assert summary(schedule([click(), click("1s"), click("14")], stretch)) == [(8, 1), (10, 2), (14, 3)]
    for when in ("7", "15", "0.1s"):
        with pytest.raises(ValueError, match=r"image \d+ is outside the stretch that is tracked, 8 to 14"):
            schedule([click(when)], stretch)
    damaged_first = recording.stretch(4)
    assert summary(schedule([click()], damaged_first)) == [(6, 1)]
