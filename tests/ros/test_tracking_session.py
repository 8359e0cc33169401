"""The tracker with headers, corrected stamps and detections that expire. Stamps are milliseconds here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from robot import picture
from stream_parts import CLICK, MS, Session, header

from sam2_ros.ros.timeline import Jump
from sam2_ros.ros.waiting_prompt import Proposal
from sam2_ros.tracking.prompt import Box, Prompt
from sam2_ros.tracking.tracker import Tracker


@pytest.fixture(scope="module")
def started() -> Session:
    session = Session()
    session.step(100, 110, 120, 130, 140)
    session.tracker.prompt(CLICK)
    session.session.update()
    return session


def test_snapshot_has_the_headers_of_the_history(started: Session) -> None:
    snapshot = started.session.snapshot
    assert snapshot.stamps == tuple(stamp * MS for stamp in (110, 120, 130, 140))
    assert snapshot.header_of(120 * MS) == header(120)
    assert {(image.height, image.width) for image in snapshot.images.values()} == {picture(0).shape[:2]}
    assert snapshot.object_ids == {1} and snapshot.max_objects == 16
    assert np.array_equal(started.session.newest_image, picture(0))


def test_frames_are_found_by_stamp(started: Session) -> None:
    newest = started.tracker.newest
    assert started.session.frame_at(0) is newest is started.session.frame_at(140 * MS)
    assert started.session.frame_at(121 * MS).stamp == 120 * MS


def test_forgetting_time_jump_resets_everything() -> None:
    session = Session()
    session.step(90_000)
    session.tracker.prompt(CLICK)
    session.session.detections.add(1, Proposal(0.5), Prompt(box=Box(1, 2, 3, 4)), 90_000 * MS)
    session.session.jump(10 * MS, Jump(back=89_990 * MS, forget=True))
    assert not session.tracker.labels and not session.session.snapshot.images and 1 not in session.session.detections
    assert session.meter["time jumps"] == 1 and "forgets 1 objects" in session.written.lines[0]
    assert session.step(10).stamp == 10 * MS


def test_backward_clock_step_shifts_history_and_prompts() -> None:
    session = Session()
    session.step(5000, 5010, 5020)
    session.tracker.prompt(CLICK)
    session.session.update()
    session.session.jump(4000 * MS, Jump(back=1020 * MS))
    assert session.tracker.stamps == tuple(stamp * MS for stamp in (3970, 3980, 3990))
    assert session.session.snapshot.find(5010 * MS) == 3980 * MS, "by its header stamp"
    assert session.shifts == [(5020 * MS, -1030 * MS)]
    assert len(session.step(4000).masklets) == 1


def test_wrong_stamps_are_corrected() -> None:
    session = Session()
    session.step(100, 110, 9000)
    session.session.jump(120 * MS, Jump(back=8880 * MS, origin=110 * MS, corrects=True))
    assert session.tracker.stamps == (100 * MS, 110 * MS, 120 * MS - 1)
    assert session.meter["wrong stamps"] == 1 and not session.shifts
    assert session.session.snapshot.find(9000 * MS) == 120 * MS - 1


def test_image_after_failed_images_is_tracked() -> None:
    session = Session()
    session.step(5000)
    assert session.step(4000).stamp == 4000 * MS


@pytest.mark.parametrize(("stamps", "left"), [((200, 300, 400, 500), []), ((200, 9000), [1])], ids=["absent", "a gap"])
def test_detected_object_is_removed_after_forget_after(
    monkeypatch: pytest.MonkeyPatch, stamps: tuple[int, ...], left: list[int]
) -> None:
    session = Session()
    session.step(0, 100)
    session.tracker.prompt(CLICK)
    session.session.detections.add(1, Proposal(0.5, forget_after=0.35), Prompt(box=Box(1, 2, 3, 4)), 100 * MS)
    masklets = Tracker._masklets
    hidden = lambda *arguments: [replace(masklet, present=False) for masklet in masklets(*arguments)]  # noqa: E731
    monkeypatch.setattr(Tracker, "_masklets", hidden)
    session.step(*stamps)
    assert list(session.tracker.labels) == left == sorted(session.session.snapshot.object_ids)


def test_duplicate_is_removed_with_a_line_in_the_log() -> None:
    session = Session()
    session.step(100)
    session.tracker.prompt(replace(CLICK, label="cup"))
    session.session.remove_duplicate(1)
    assert not session.tracker.labels and not session.session.snapshot.object_ids
    assert session.written.lines == ["Object 1 (cup) is removed: it doubles another one"]
