"""The tracker with headers, corrected stamps and detections that expire. Stamps are milliseconds here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from robot import picture
from stream_parts import CLICK, MS, Session, header

from sam2_ros.ros.resume_file import KeptObjects
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
    assert session.meter["time jumps"] == 1 and "forgets 1 object." in session.written.lines[0]
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


@pytest.mark.parametrize("paused", [True, False])
def test_pause_is_no_absence_however_short(paused: bool) -> None:
    """A gap of less than a second is otherwise not taken for one."""
    session = Session()
    session.step(100, 200, 300)
    session.tracker.prompt(CLICK)
    session.session.detections.add(1, Proposal(0.5, forget_after=0.5), Prompt(box=Box(1, 2, 3, 4)), 300 * MS)
    if paused:
        session.session.note_pause()
    hide(session)
    session.step(900)
    assert (1 in session.session.detections) == paused
    session.step(1_500)
    assert 1 not in session.session.detections, "after the pause, absence counts"


def hide(session: Session) -> None:
    """Lets the network see no object any more."""
    model = session.tracker.model
    torch.nn.init.constant_(model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias, -5.0)


def test_objects_of_an_earlier_process_go_on() -> None:
    earlier = Session(kept=KeptObjects())
    earlier.step(100, 200)
    for object_id in (3, 4):
        earlier.session.note_prompt(earlier.tracker.prompt(replace(CLICK, object_id=object_id)), 200 * MS, True)
    earlier.session.detections.add(4, Proposal(0.5, forget_after=0.5), Prompt(box=Box(1, 2, 3, 4)), 200 * MS)
    earlier.step(300)
    kept = earlier.session.kept()
    assert [(one.object_id, one.stamp, one.prompted) for one in kept.sightings] == [
        (3, 200 * MS, True),
        (4, 200 * MS, True),
        (3, 300 * MS, False),
        (4, 300 * MS, False),
    ]
    assert kept.next_id == 5 and kept.forget_after == {4: 0.5}

    later = Session(kept=kept)
    assert later.session.snapshot.object_ids == {3, 4} and later.session.newest is None
    again = later.session.kept()
    assert again.sightings == kept.sightings and (again.next_id, again.forget_after) == (5, {4: 0.5})
    hide(later)
    assert [masklet.object_id for masklet in later.step(100).masklets] == [3, 4], "by another clock"
    assert 4 in later.session.detections, "its absence begins with the first image"
    assert later.session.kept().sightings == kept.sightings, "absent, and not forgotten"
    later.step(500, 700)
    assert later.tracker.labels.keys() == {3}
    assert {one.object_id for one in later.session.kept().sightings} == {3}


def test_reset_forgets_what_was_kept() -> None:
    earlier = Session(kept=KeptObjects())
    earlier.step(100)
    earlier.session.note_prompt(earlier.tracker.prompt(CLICK), 100 * MS, True)
    later = Session(kept=earlier.session.kept())
    later.session.reset()
    assert later.session.kept() == KeptObjects()
    assert not Session().session.kept().sightings, "without a file nothing is recorded"


def test_newest_image_has_its_header_and_masklets(started: Session) -> None:
    newest = started.session.newest
    assert newest is not None and newest.header == header(140) and newest.frame is started.tracker.newest
    assert np.array_equal(newest.pixels, picture(0))
