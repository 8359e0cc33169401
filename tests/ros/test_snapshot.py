"""Snapshots of the tracker, and the checks of prompts against them."""

from __future__ import annotations

import numpy as np
import pytest
from std_msgs.msg import Header

from sam2_ros.ros.snapshot import ProcessedImage, Snapshot
from sam2_ros.ros.stamps import time_message
from sam2_ros.tracking.prompt import Click, Prompt, PromptError


def image(stamp: int, height: int = 60, width: int = 80) -> ProcessedImage:
    return ProcessedImage(Header(stamp=time_message(stamp)), height, width)


SNAPSHOT = Snapshot({100: image(100), 200: image(900), 300: image(300, 30, 40)}, frozenset({1}), 2)
NEGATIVE = (Click(3, 4, False),)


def test_find_uses_header_stamps_even_if_corrected() -> None:
    assert [SNAPSHOT.find(stamp) for stamp in (100, 900, 200, 300, 250)] == [100, 200, 200, 300, None]
    repeated = Snapshot({100: image(50), 200: image(50)})
    assert repeated.find(50) == 200, "the newest"
    assert SNAPSHOT.header_of(200) == Header(stamp=time_message(900)) and SNAPSHOT.header_of(5) == Header()


def test_only_stamps_before_the_history_are_too_old() -> None:
    assert "history of 3 frames" in (SNAPSHOT.too_old(99) or "")
    assert [SNAPSHOT.too_old(stamp) for stamp in (100, 150, 400)] == [None] * 3
    assert Snapshot().too_old(1) is None and Snapshot({100: image(20)}).too_old(20) is None


def test_prompt_is_checked_against_the_size_of_its_image() -> None:
    outside_the_last = Prompt(clicks=(Click(50, 20),))
    for stamp in (100, 149, 900, None):
        assert SNAPSHOT.checked(outside_the_last, stamp).clicks == outside_the_last.clicks
    with pytest.raises(PromptError, match="outside the image of 40 x 30"):
        SNAPSHOT.checked(outside_the_last, 290)
    mask = np.ones((5, 7), bool)
    assert SNAPSHOT.checked(Prompt(mask=mask), None).mask.shape == (5, 7)
    with pytest.raises(PromptError, match="same size"):
        SNAPSHOT.checked(Prompt(mask=mask), 100)


def test_negative_clicks_alone_do_not_start_an_object() -> None:
    assert SNAPSHOT.checked(Prompt(object_id=1, clicks=NEGATIVE), 100).clicks == NEGATIVE
    assert SNAPSHOT.checked(Prompt(object_id=2, clicks=NEGATIVE), 100), "another waiting prompt may start it"
    for prompt in (Prompt(clicks=NEGATIVE), Prompt(object_id=1, clicks=NEGATIVE, replace=True)):
        with pytest.raises(PromptError, match="only negative"):
            SNAPSHOT.checked(prompt, 100)
