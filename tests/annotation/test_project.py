"""Annotation projects: actions, undoing, two annotators, kills."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from small_clips import make_clip
from small_disk import mounted

from sam2_ros.annotation import database
from sam2_ros.annotation.annotated_mask import PROMPTED, PROPAGATED, AnnotatedMask
from sam2_ros.annotation.annotated_object import OPEN, PROPOSED, REJECTED, VERIFIED
from sam2_ros.annotation.project import (
    NO_OBJECT,
    SATISFACTORY,
    UNSATISFACTORY,
    ChangedError,
    Project,
    ProjectError,
)
from sam2_ros.recordings.clip_recording import ClipRecording
from sam2_ros.tracking.prompt import Click, Prompt


def a_mask(object_id: int, frame: int, left: int = 10, phase: int = 3, origin: str = "drawn") -> AnnotatedMask:
    mask = np.zeros((48, 64), bool)
    mask[10:20, left : left + 8] = True
    drawn = AnnotatedMask.drawn(object_id, frame, mask, phase)
    return AnnotatedMask(**{**vars(drawn), "origin": origin})


@pytest.fixture
def recording() -> ClipRecording:
    return ClipRecording(make_clip(frames=9))


@pytest.fixture
def project(tmp_path: Path, recording: ClipRecording) -> Project:
    with Project.create(tmp_path / "project", recording) as made:
        yield made


def contents(project: Project) -> list:
    """Everything but the actions."""
    return [
        (one, [vars(mask) | {"counts": mask.counts.tobytes()} for mask in project.masks_of(one.object_id)])
        for one in project.objects()
    ] + [(p.frame, p.prompt.clicks) for one in project.objects() for p in project.prompts_of(one.object_id)]


def test_masks_prompts_and_actions_are_kept(project: Project, recording: ClipRecording) -> None:
    one = project.add_object("ann", "cup", {"colour": "red"}, seconds=1.5)
    prompt = Prompt(one, clicks=(Click(12, 12), Click(40, 40, False)))
    project.put_mask("ann", a_mask(one, 4, origin=PROMPTED), prompt, seconds=2.0)
    project.put_propagated("ann", one, [a_mask(one, frame, origin=PROPAGATED) for frame in range(9)])
    with Project(project.folder, recording) as again:
        (known,) = again.objects()
        assert (known.label, known.attributes, known.state, known.author) == ("cup", {"colour": "red"}, OPEN, "ann")
        assert [mask.origin for mask in again.masks_of(one)] == [PROPAGATED] * 4 + [PROMPTED] + [PROPAGATED] * 4
        assert np.array_equal(again.mask(one, 3).mask, a_mask(one, 3).mask)
        (given,) = again.prompts_of(one)
        assert (given.frame, given.prompt.clicks) == (4, prompt.clicks)
        actions = list(again.actions())
        assert [(action.kind, action.annotator, action.seconds) for action in actions] == [
            ("add", "ann", 1.5),
            ("mask", "ann", 2.0),
            ("propagate", "ann", 0.0),
        ]
        assert actions[1].detail == {"origin": "prompted", "clicks": 2} and actions[1].frame == 4


def test_undo_and_redo_go_through_all_actions(project: Project) -> None:
    states = [contents(project)]
    one = project.add_object("ann", "cup")
    states.append(contents(project))
    project.put_mask("ann", a_mask(one, 2))
    states.append(contents(project))
    project.put_propagated("ann", one, [a_mask(one, frame, 20, origin=PROPAGATED) for frame in range(9)])
    states.append(contents(project))
    project.put_mask("ann", a_mask(one, 5, 30))
    states.append(contents(project))
    project.describe("ann", one, "mug")
    states.append(contents(project))
    project.remove_mask("ann", one, 5)
    states.append(contents(project))
    for before in reversed(states[:-1]):
        assert project.undo("ann") is not None
        assert contents(project) == before
    assert project.undo("ann") is None
    for after in states[1:]:
        assert project.redo("ann") is not None
        assert contents(project) == after
    assert project.redo("ann") is None
    for before in reversed(states[:-1]):
        project.undo("ann")
        assert contents(project) == before


def test_undoing_does_not_touch_what_others_did_since(project: Project) -> None:
    one = project.add_object("ann")
    project.put_mask("ann", a_mask(one, 2))
    project.put_mask("ben", a_mask(one, 2, 30))
    before = contents(project)
    with pytest.raises(ChangedError, match="changed again after"):
        project.undo("ann")
    assert contents(project) == before
    project.undo("ben")
    assert project.undo("ann").kind == "mask"


def test_new_action_ends_redoing(project: Project) -> None:
    one = project.add_object("ann")
    project.put_mask("ann", a_mask(one, 2))
    project.undo("ann")
    project.put_mask("ann", a_mask(one, 3))
    assert project.redo("ann") is None
    assert [mask.frame for mask in project.masks_of(one)] == [3]


def test_somebody_elses_change_is_not_overwritten(project: Project) -> None:
    one = project.add_object("ann")
    seen = project.last_action
    project.put_mask("ann", a_mask(one, 2), seen=seen)
    with pytest.raises(ChangedError, match="changed by ann"):
        project.put_mask("ben", a_mask(one, 2, 30), seen=seen)
    project.put_mask("ben", a_mask(one, 3, 30), seen=seen)  # another frame
    project.put_mask("ann", a_mask(one, 2, 40), seen=seen)  # one's own
    with pytest.raises(ChangedError, match="object 1 was changed by"):
        project.put_propagated("carl", one, [a_mask(one, 4, origin=PROPAGATED)], seen=seen)
    assert [mask.frame for mask in project.masks_of(one)] == [2, 3]


def test_verdicts(project: Project) -> None:
    good = project.add_object("robot", state=PROPOSED, masks=[a_mask(0, frame) for frame in range(3)])
    bad = project.add_object("robot", state=PROPOSED, masks=[a_mask(0, 1)])
    wrong = project.add_object("ann", masks=[a_mask(0, 1)])
    empty = project.add_object("ann")
    project.judge("ann", good, SATISFACTORY)
    project.judge("ann", bad, NO_OBJECT, "a shadow")
    with pytest.raises(ProjectError, match="own work"):
        project.judge("ann", wrong, SATISFACTORY)
    with pytest.raises(ProjectError, match="no masks"):
        project.judge("ben", empty, SATISFACTORY)
    with pytest.raises(ProjectError, match="no verdict 'fine'"):
        project.judge("ben", wrong, "fine")
    project.judge("ben", wrong, UNSATISFACTORY, "drifts")
    assert [(one.object_id, one.reason) for one in project.objects(VERIFIED)] == [(good, "")]
    assert [(one.object_id, one.reason) for one in project.objects(REJECTED)] == [(bad, "a shadow")]
    assert project.object(wrong).state == OPEN and project.object(wrong).reason == "drifts"
    project.put_mask("ann", a_mask(good, 1, 30))
    assert project.object(good).state == OPEN, "it has to be verified again"


def test_verdict_on_a_masklet_that_has_changed_is_refused(project: Project) -> None:
    one = project.add_object("ann", masks=[a_mask(0, 1)])
    seen = project.last_action
    project.put_mask("ann", a_mask(one, 2))
    with pytest.raises(ChangedError):
        project.judge("ben", one, SATISFACTORY, seen=seen)


@pytest.mark.parametrize("frame", [-1, 9])
def test_frames_outside_the_recording_are_refused(project: Project, frame: int) -> None:
    one = project.add_object("ann")
    before = list(project.actions())
    with pytest.raises(ProjectError, match="frames 0 to 8"):
        project.put_mask("ann", a_mask(one, frame))
    with pytest.raises(ProjectError, match="no object 7"):
        project.put_mask("ann", a_mask(7, 1))
    assert list(project.actions()) == before


def test_masks_that_are_none_of_their_frame_are_refused(project: Project) -> None:
    project.add_object("ann", "cup", masks=[a_mask(1, 3)])
    before = contents(project)
    small = np.ones((4, 6), bool)
    for mask, message in (
        (AnnotatedMask.drawn(2, 3, small, 1), "a mask of 6 x 4 pixels for frame 3, where masks have 64 x 48"),
        (
            AnnotatedMask.drawn(2, 4, small[:0], 1),
            "the mask for frame 4 is damaged: its run lengths do not make 6 x 0 pixels",
        ),
        (
            replace(a_mask(2, 4), counts=np.array([5, 6], np.uint32)),
            "the mask for frame 4 is damaged: its run lengths do not make 64 x 48 pixels",
        ),
        (a_mask(2, 9), "there is no frame 9"),
    ):
        with pytest.raises(ProjectError, match=message):
            project.add_object("ann", "plate", masks=[mask])
    assert contents(project) == before and project.last_action == 1


def test_phase_1_frames(tmp_path: Path) -> None:
    with Project.create(tmp_path, ClipRecording(make_clip(frames=9, fps=24.0))) as project:
        assert project.annotated_frames == [0, 4, 8]
    with Project.create(tmp_path / "slow", ClipRecording(make_clip(frames=3, fps=2.0))) as project:
        assert project.annotated_frames == [0, 1, 2]


def test_project_of_another_recording_is_refused_by_content(tmp_path: Path) -> None:
    Project.create(tmp_path, ClipRecording(make_clip("walk"))).close()
    with Project(tmp_path, ClipRecording(make_clip("walk"))) as project:
        assert project.frame_count == 9
    for other in (make_clip("walk", frames=8), make_clip("run")):
        with pytest.raises(ProjectError, match="another recording"):
            Project(tmp_path, ClipRecording(other))
        with pytest.raises(ProjectError, match="another recording"):
            Project.create(tmp_path, ClipRecording(other))


def test_damaged_and_missing_databases_are_named(tmp_path: Path, recording: ClipRecording) -> None:
    with pytest.raises(ProjectError, match="no annotation project"):
        Project(tmp_path)
    (tmp_path / "project.db").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)
    with pytest.raises(OSError, match="damaged"):
        Project(tmp_path)


def test_projects_of_another_form_stay_as_they_are(project: Project, recording: ClipRecording) -> None:
    with closing(sqlite3.connect(project.file, isolation_level=None)) as database:
        database.execute("DROP TABLE earlier_prompts")  # as if the newer form had none
        database.execute("UPDATE project SET value = '2' WHERE key = 'form'")
        for attempt in (lambda: Project(project.folder), lambda: Project.create(project.folder, recording)):
            with pytest.raises(ProjectError, match="has the form 2, this version reads 1; update"):
                attempt()
        assert not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'earlier_prompts'").fetchall()


@pytest.mark.parametrize("key", ["form", "recording", "fingerprint", "frames", "fps", "annotated_fps"])
def test_what_is_missing_of_a_project_is_named(project: Project, key: str) -> None:
    with closing(sqlite3.connect(project.file, isolation_level=None)) as database:
        database.execute("DELETE FROM project WHERE key = ?", (key,))
        with pytest.raises(ProjectError, match=f"damaged: {key} missing; restore it from a copy"):
            Project(project.folder)
        database.execute("INSERT INTO project VALUES (?, 'nonsense')", (key,))
        with pytest.raises(ProjectError, match="damaged: what it says of its recording is unreadable"):
            Project(project.folder)


def test_an_object_and_its_first_mask_are_one_action(project: Project) -> None:
    prompt = Prompt(clicks=(Click(12, 12),))
    number = project.begin("ann", a_mask(0, 3, origin=PROMPTED), prompt, "cup", 2.5, {"new_clicks": 1})
    (action,) = project.actions()
    assert (action.kind, action.object_id, action.frame, action.phase, action.seconds) == ("mask", number, 3, 3, 2.5)
    assert action.detail == {
        "origin": "prompted", "clicks": 1, "label": "cup", "new_object": True, "new_clicks": 1
    }  # fmt: skip
    assert project.object(number).label == "cup" and project.mask(number, 3).origin == PROMPTED
    before = contents(project)
    assert project.undo("ann") and contents(project) == [] and project.redo("ann") and contents(project) == before
    for wrong, message in ((a_mask(0, 9), "no frame 9"), (a_mask(0, 10**30), "no frame"), (a_mask(0, 3), "by hand")):
        with pytest.raises(ProjectError, match=message):
            project.begin("ann", replace(wrong, origin=PROPAGATED) if message == "by hand" else wrong)
    with pytest.raises(ProjectError, match="letters"):
        project.begin("ann", a_mask(0, 3), label="x" * 1000)
    assert contents(project) == before


def test_undoing_leaves_no_masks_without_their_object(project: Project) -> None:
    number = project.add_object("ann", "cup")
    project.put_mask("ben", a_mask(number, 3), Prompt(clicks=[Click(14, 12)]))
    before = contents(project)
    with pytest.raises(ChangedError, match="has to be undone first"):
        project.undo("ann")
    assert contents(project) == before
    assert project.undo("ben") and project.undo("ann") and project.objects() == []
    with pytest.raises(ChangedError, match=f"object {number} is gone"):
        project.redo("ben")
    assert list(project.masks_of(number)) == []
    assert project.redo("ann") and project.redo("ben") and contents(project) == before


WORKER = """
import random, sys, time
import numpy as np
from dataclasses import replace
from sam2_ros.annotation.project import Project
from sam2_ros.annotation.annotated_mask import DRAWN, PROPAGATED, AnnotatedMask
def a_mask(object_id, frame, left, origin=DRAWN):
    mask = np.zeros((48, 64), bool)
    mask[10:20, left : left + 8] = True
    return replace(AnnotatedMask.drawn(object_id, frame, mask, 3), origin=origin)
folder, name, seed, count, pause = sys.argv[1:]
rng = random.Random(int(seed))
print("ready", flush=True)
sys.stdin.readline()
with Project(folder) as project:
    for _ in range(int(count)):
        time.sleep(rng.uniform(0, float(pause)))
        mine = [one.object_id for one in project.objects() if one.author == name]
        kind = rng.choice(("add", "mask", "mask", "propagate", "describe", "undo", "redo"))
        number = None
        if kind == "add" or not mine:
            kind, label = "add", f"thing {rng.randrange(9)}"
            if rng.random() < 0.5:
                number = project.add_object(name, label)
            else:
                number = project.begin(name, a_mask(0, rng.randrange(9), rng.randrange(40)), label=label)
        elif kind == "mask":
            number = rng.choice(mine)
            project.put_mask(name, a_mask(number, rng.randrange(9), rng.randrange(40)))
        elif kind == "propagate":
            number, left = rng.choice(mine), rng.randrange(40)
            project.put_propagated(name, number, [a_mask(number, f, left, origin=PROPAGATED) for f in range(9)])
        elif kind == "describe":
            number = rng.choice(mine)
            project.describe(name, number, f"thing {rng.randrange(9)}")
        elif project.undo(name) is None if kind == "undo" else project.redo(name) is None:
            continue
        print(project.last_action, kind, number, flush=True)  # answered
"""


def start_worker(folder: Path, name: str, seed: int, count: int, pause: float = 0.0) -> subprocess.Popen:
    """A process that does random actions, with pauses of up to so many seconds."""
    arguments = [sys.executable, "-c", WORKER, str(folder), name, str(seed), str(count), str(pause)]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def go(*workers: subprocess.Popen) -> None:
    """Let workers begin, all at the same time."""
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()


@pytest.mark.slow
def test_nothing_answered_is_lost_when_processes_are_killed(project: Project) -> None:
    """1,000 random actions, and kill -9 at 50 random moments."""
    rng, answered, number = random.Random(0), set(), 0
    while number < 50 or len(answered) < 1000:
        worker = start_worker(project.folder, "ann", number, 1000 if number < 50 else 200)
        go(worker)
        if number < 50:
            time.sleep(rng.uniform(0, 0.25))
            worker.send_signal(signal.SIGKILL)
        lines = worker.communicate()[0].splitlines(keepends=True)
        answered |= {int(line.split()[0]) for line in lines if line.endswith("\n")}
        number += 1
    stored = {action.action_id for action in project.actions()}
    assert answered <= stored and len(stored) >= 1000
    assert_whole(project)


def assert_whole(project: Project) -> None:
    """Every masklet is what its last action made, on all of its frames; no object lacks the mask it began with."""
    begun = [one for one in project.actions() if one.detail.get("new_object") and one.undone_by is None]
    assert begun and all(project.mask(one.object_id, one.frame) is not None for one in begun)
    for one in project.objects():
        by_action: dict[int, list[AnnotatedMask]] = {}
        for mask in project.masks_of(one.object_id):
            assert mask.mask.any()
            by_action.setdefault(mask.action_id, []).append(mask)
        propagations = [masks for masks in by_action.values() if masks[0].origin == PROPAGATED]
        for masks in propagations:
            assert len({mask.counts.tobytes() for mask in masks}) == 1
        if propagations:
            assert len(list(project.masks_of(one.object_id))) == 9


@pytest.mark.slow
def test_two_annotators_at_once(project: Project) -> None:
    """500 interleaved actions of two processes: both sets are there, and neither has changed the other's."""
    workers = [start_worker(project.folder, name, seed, 260, 0.01) for seed, name in enumerate(("ann", "ben"))]
    go(*workers)
    answered = {
        name: worker.communicate()[0].splitlines() for name, worker in zip(("ann", "ben"), workers, strict=True)
    }
    assert all(worker.returncode == 0 for worker in workers)
    actions = list(project.actions())
    counts = {name: sum(action.annotator == name for action in actions) for name in answered}
    assert counts == {name: len(lines) for name, lines in answered.items()} and sum(counts.values()) >= 400
    order = [action.annotator for action in actions]
    assert sum(a != b for a, b in pairwise(order)) > 20, "they took turns"
    for one in project.objects():
        assert {mask.author for mask in project.masks_of(one.object_id)} <= {one.author}
    assert_whole(project)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
def test_full_disk_loses_nothing(tmp_path: Path, recording: ClipRecording) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("cannot mount")
    try:
        with Project.create(disk / "project", recording) as project:
            one = project.add_object("ann")
            before = contents(project)
            with pytest.raises(OSError, match="disk is full"):
                for _ in range(2000):
                    before = contents(project)
                    project.put_propagated("ann", one, [a_mask(one, f, origin=PROPAGATED) for f in range(9)])
            assert contents(project) == before
        with Project(disk / "project") as project:
            assert contents(project) == before
    finally:
        subprocess.run(["umount", disk], check=True)


def test_locked_database_loses_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading goes on; what cannot be stored is refused with the remedy, and can be done again."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    one = project.add_object("ann")
    project.put_mask("ann", a_mask(one, 3))
    before = contents(project)
    with Project(project.folder) as mine, closing(sqlite3.connect(project.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OSError, match="another process has held it"):
            mine.put_mask("ann", a_mask(one, 4))
        assert contents(mine) == before
        other.execute("ROLLBACK")
        mine.put_mask("ann", a_mask(one, 4))
    assert project.mask(one, 4) is not None


def test_read_only_folder_loses_nothing(tmp_path: Path, recording: ClipRecording) -> None:
    with mounted(tmp_path / "disk", "size=4m") as disk:
        with Project.create(disk / "project", recording) as project:
            one = project.add_object("ann")
            project.put_mask("ann", a_mask(one, 3))
            before = contents(project)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(OSError, match="is its folder read-only"):
            Project(disk / "project")
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        with Project(disk / "project") as project:
            assert contents(project) == before
            project.put_mask("ann", a_mask(one, 4))


def test_a_snapshot_does_not_see_what_others_do(project: Project) -> None:
    one = project.add_object("ann", "cup")
    with Project(project.folder) as reader:
        with reader.snapshot():
            project.put_mask("ann", a_mask(one, 4))
            assert reader.mask(one, 4) is None and reader.last_action == 1
        assert reader.mask(one, 4) is not None
        reader.describe("bob", one, "mug")
    assert project.object(one).label == "mug"


def test_looking_takes_time_and_changes_nothing(project: Project) -> None:
    one = project.add_object("ann")
    project.put_mask("ann", a_mask(one, 2))
    before = contents(project)
    project.look("ann", one, 3, 5, seconds=19.0)
    assert contents(project) == before
    (look,) = project.actions(project.last_action - 1)
    assert (look.kind, look.phase, look.seconds, look.detail) == ("look", 3, 19.0, {"frames": 5})
    assert project.undo("ann").kind == "mask"  # looking cannot be undone, and is no new action for `redo`
    project.look("ann", one, 3, 5, seconds=19.0)
    assert project.redo("ann") is not None and contents(project) == before
    with pytest.raises(ProjectError, match="no object 7"):
        project.look("ann", 7, 3, 1, seconds=1.0)


def test_what_can_be_reversed(project: Project) -> None:
    assert project.reversible("ann") == (None, None)
    number = project.add_object("ann", "cup")
    project.put_mask("ann", a_mask(number, 2))
    undoable, redoable = project.reversible("ann")
    assert undoable is not None and undoable.kind == "mask" and redoable is None
    project.undo("ann")
    undoable, redoable = project.reversible("ann")
    assert undoable is not None and undoable.kind == "add" and redoable is not None
    assert project.reversible("ben") == (None, None)
    project.redo("ann")
    assert project.reversible("ann")[1] is None
    assert project.annotators() == ["ann"]


def test_prompts_on_a_frame(project: Project) -> None:
    for left in (10, 30):
        number = project.add_object("ann")
        prompt = Prompt(number, clicks=(Click(left, 12),))
        project.put_mask("ann", a_mask(number, 2, left, origin=PROMPTED), prompt)
    project.put_mask("ann", a_mask(1, 3))
    assert {object_id: prompt.clicks for object_id, prompt in project.prompts_on(2).items()} == {
        1: (Click(10, 12),),
        2: (Click(30, 12),),
    }
    assert project.prompts_on(4) == {}
