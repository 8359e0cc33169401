"""The schedule of prompts: applied, refused or expired. Stamps are milliseconds here."""

from __future__ import annotations

import pytest
from std_msgs.msg import Header
from stream_parts import MS, image_stamps

from sam2_ros.ros.image_stamps import ImageStamps
from sam2_ros.ros.prompt_queue import PromptQueue
from sam2_ros.ros.prompt_schedule import (
    MAX_PLAYBACK_RATE,
    Turn,
    expiry,
    object_limit,
    refusal,
    round_robin,
    target_stamp,
    turn,
)
from sam2_ros.ros.snapshot import Snapshot
from sam2_ros.ros.waiting_prompt import Proposal, Source, WaitingPrompt
from sam2_ros.tracking.prompt import Click, Prompt

OURS, VIEWER = Source("ours"), Source("viewer", other_clock=True)
TIMEOUT = 1.0
IMAGES = image_stamps((100, 200), (300,))
CLICK = Prompt(clicks=(Click(5, 5),))


def prompt(
    milliseconds: int,
    source: Source = OURS,
    unstamped: bool = False,
    prompt: Prompt = CLICK,
    proposal: Proposal | None = None,
) -> WaitingPrompt:
    return WaitingPrompt(Header(), prompt, milliseconds * MS, unstamped, 10.0, 10.0 + TIMEOUT, source, proposal)


@pytest.mark.parametrize(
    ("stamp", "source", "images", "target", "unstamped"),
    [
        (150, OURS, IMAGES, 150, False),
        (9000, OURS, IMAGES, 9000, False),
        (0, OURS, IMAGES, 300, True),
        (0, OURS, image_stamps((100,)), 0, True),
        (9000, VIEWER, IMAGES, 300, True),
        (150, VIEWER, IMAGES, 150, False),
        (9000, VIEWER, image_stamps(), 9000, False),
    ],
)
def test_target_stamp(stamp: int, source: Source, images: ImageStamps, target: int, unstamped: bool) -> None:
    assert target_stamp(stamp * MS, source, images) == (target * MS, unstamped)


LONG = 1000 * (1 + MAX_PLAYBACK_RATE * TIMEOUT)  # ms


@pytest.mark.parametrize(
    ("waiting", "reason"),
    [
        (prompt(150), None),
        (prompt(300 + round(LONG)), None),
        (prompt(301 + round(LONG)), "ahead of the newest"),
        (prompt(301 + round(LONG), VIEWER), None),
        (prompt(-5), "not that of an image"),
        (prompt(50), "history of 2 frames"),
        (prompt(50, VIEWER), None),
        (prompt(150, prompt=Prompt()), "empty"),
        (prompt(150, prompt=Prompt(clicks=(Click(90, 5),))), "outside the image of 80 x 60"),
        (prompt(0, unstamped=True, prompt=Prompt(clicks=(Click(90, 5),))), "outside the image of 80 x 60"),
        (prompt(300, prompt=Prompt(clicks=(Click(90, 5),))), None),
    ],
)
def test_immediate_refusals(waiting: WaitingPrompt, reason: str | None) -> None:
    message = refusal(waiting, IMAGES)
    assert message is None if reason is None else reason in message


def test_no_stamp_is_too_old_after_a_time_jump() -> None:
    assert refusal(prompt(50), image_stamps((9000,), (10,))) is None
    assert "history" in refusal(prompt(50), image_stamps((9000,)))


@pytest.mark.parametrize(
    ("waiting", "images", "expected"),
    [
        (prompt(100), IMAGES, Turn.DUE),
        (prompt(150), IMAGES, Turn.DUE),
        (prompt(300), IMAGES, Turn.WAITS),
        (prompt(0, unstamped=True), IMAGES, Turn.DUE),
        (prompt(300, unstamped=True), IMAGES, Turn.WAITS),
        (prompt(300, unstamped=True), image_stamps((100, 200)), Turn.DUE),
        (prompt(9000, VIEWER), IMAGES, Turn.DUE),
        (prompt(9000), image_stamps(), Turn.WAITS),
        (prompt(99_000), IMAGES, Turn.EXPIRED),
        (prompt(10), image_stamps((9000,), (10, 20)), Turn.WAITS),
        (prompt(9000), image_stamps((9000,), (10, 20)), Turn.DUE),
    ],
)
def test_prompt_is_due_when_its_image_was_processed(
    waiting: WaitingPrompt, images: ImageStamps, expected: Turn
) -> None:
    assert turn(waiting, images, now=10.5, last_step=10.4) is expected


def test_prompt_expires_if_its_image_does_not_arrive_before_the_timeout() -> None:
    waiting, deadline = prompt(400), 10.0 + TIMEOUT
    assert turn(waiting, IMAGES, deadline - 0.1, 10.4) is Turn.WAITS
    assert turn(waiting, IMAGES, deadline, 10.4) is Turn.EXPIRED
    pending = image_stamps((100, 200), (300, 500))
    assert turn(waiting, pending, deadline, 10.4) is Turn.WAITS, "a newer one is about to be processed"
    assert turn(waiting, pending, deadline, 9.9) is Turn.EXPIRED, "images arrive and fail"
    assert turn(waiting, image_stamps(), deadline, 0.0) is Turn.EXPIRED
    assert "no image has been processed yet" in expiry(waiting, image_stamps())
    assert "0.200 s ahead of the newest" in expiry(waiting, IMAGES)


def test_max_objects_refuses_without_the_network() -> None:
    queue, full = PromptQueue(), Snapshot(object_ids=frozenset({1}), max_objects=1)
    assert "limit of tracked objects (1)" in object_limit(prompt(150), IMAGES, queue, full)
    assert object_limit(prompt(150, prompt=Prompt(object_id=1)), IMAGES, queue, full) is None
    assert object_limit(prompt(150, proposal=Proposal(0.5)), IMAGES, queue, full) is None
    assert object_limit(prompt(900), IMAGES, queue, full) is None, "until its image arrives, an object may be removed"
    assert object_limit(prompt(150), image_stamps((9000,), (10,)), queue, full) is None, "a jump of time may forget it"
    assert object_limit(prompt(150), IMAGES, queue, Snapshot(max_objects=1)) is None


def test_round_robin_alternates_sources() -> None:
    first, second, third, other = prompt(1), prompt(2), prompt(3), prompt(4, VIEWER)
    assert round_robin([first, second, third, other]) == [first, other, second, third]
