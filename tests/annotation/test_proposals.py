"""Masklets of a run as proposals of a project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from remembered_recording import RememberedRecording
from small_network import default_network, moving_things

from sam2_ros.annotation.annotated_mask import AUTOMATIC, PROMPTED, PROPAGATED
from sam2_ros.annotation.annotated_object import PROPOSED, REJECTED, VERIFIED
from sam2_ros.annotation.project import SATISFACTORY, Project, ProjectError
from sam2_ros.annotation.proposals import propose
from sam2_ros.recordings import everything, track
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.tracking import Click, Prompt, Tracker
from sam2_ros.tracking.masklet import Masklet

FRAMES = 6
RUN = {"recording": "remembered", "prompts": "everything"}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    recording = RememberedRecording(moving_things(FRAMES)[0])
    with Project.create(tmp_path / "project", recording) as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MaskletStore]:
    """Objects 1 to 4, from frames 0 to 3 on; the second one is rejected, the third one is absent on the last frame."""
    with MaskletStore(tmp_path / "masklets.db", RUN) as made:
        for number in range(1, 5):
            made.add_object(number, f"thing {number}", number - 1)
        for frame in range(FRAMES):
            made.add_frame(frame, 1000 + frame, 64, 48)
            made.add(frame, [masklet(number, frame) for number in range(1, 5) if frame >= number - 1])
        made.reject(2, "flickers")
        made.commit(everything.REVIEW, FRAMES, done=True)
        yield made


def masklet(number: int, frame: int) -> Masklet:
    mask = np.zeros((64, 48), bool)
    present = (number, frame) != (3, FRAMES - 1)
    mask[10 * number : 10 * number + 5, frame : frame + 9] = present
    return Masklet(number, "", present, 0.9 * present, 0.5 + number / 10, mask)


def test_automatic_masklets_are_proposed(project: Project, store: MaskletStore) -> None:
    progress: list[tuple[int, int]] = []
    made = propose(project, store, on_progress=lambda *so_far: progress.append(so_far))
    assert progress == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert [one.label for one in project.objects()] == ["thing 1", "thing 3", "thing 4"]
    assert {one.state for one in project.objects()} == {PROPOSED}
    for object_id, number in zip(made, (1, 3, 4), strict=True):
        masks = list(project.masks_of(object_id))
        assert [mask.frame for mask in masks] == list(range(number - 1, FRAMES))
        for mask in masks:
            truth = masklet(number, mask.frame)
            assert np.array_equal(mask.mask, truth.mask) and mask.present == truth.present
            assert (mask.presence, mask.iou, mask.origin, mask.phase) == (truth.presence, truth.iou, AUTOMATIC, 0)
    project.judge("ann", made[0], SATISFACTORY)
    assert [one.object_id for one in project.objects(VERIFIED)] == [made[0]]


def test_rejected_ones_keep_their_reason(project: Project, store: MaskletStore) -> None:
    propose(project, store)
    (made,) = propose(project, store, rejected=True)
    (one,) = project.objects(REJECTED)
    assert (one.object_id, one.reason) == (made, "flickers") and len(list(project.masks_of(made))) == FRAMES - 1


def test_interrupted_it_goes_on_and_proposes_nothing_twice(project: Project, store: MaskletStore) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        propose(project, store, on_progress=interrupt)
    assert [one.label for one in project.objects()] == ["thing 1", "thing 3"]
    assert len(propose(project, store)) == 1 and propose(project, store) == []
    assert [one.label for one in project.objects()] == ["thing 1", "thing 3", "thing 4"]
    project.undo("automatic")
    assert len(propose(project, store)) == 1, "what was undone can be proposed again"


def test_masklets_of_another_recording_or_of_half_a_run_are_refused(project: Project, tmp_path: Path) -> None:
    with MaskletStore(tmp_path / "other.db", {"recording": "another"}) as other:
        other.commit(everything.REVIEW, FRAMES, done=True)
        with pytest.raises(ProjectError, match="another recording"):
            propose(project, other)
    with MaskletStore(tmp_path / "half.db", RUN) as half:
        with pytest.raises(ProjectError, match="not complete"):
            propose(project, half)
        half.commit(track.FORWARDS, FRAMES, done=True)
        half.commit(track.BACKWARDS, 2)
        with pytest.raises(ProjectError, match="not complete"):
            propose(project, half)
    with MaskletStore(tmp_path / "searching.db", RUN) as searching:
        searching.commit(f"{everything.FORWARDS} 1", FRAMES, done=True)
        with pytest.raises(ProjectError, match="not complete"):
            propose(project, searching)
    assert project.objects() == []


def test_masklets_of_prompts_are_prompted_where_they_begin(project: Project, tmp_path: Path) -> None:
    recording = RememberedRecording(moving_things(FRAMES)[0])
    tracker = Tracker(default_network(), history=1)
    with MaskletStore(tmp_path / "masklets.db", {"recording": "remembered"}) as store:
        prompt = Prompt(5, clicks=[Click(20, 22)], label="ellipse")
        track.track(recording, [ScheduledPrompt(2, prompt)], tracker, store)
    with MaskletStore(tmp_path / "masklets.db", None) as store:
        assert store.run == {"recording": "remembered"}
        (made,) = propose(project, store)
    assert project.object(made).label == "ellipse"
    origins = [mask.origin for mask in project.masks_of(made)]
    assert origins == [PROPAGATED, PROPAGATED, PROMPTED, PROPAGATED, PROPAGATED, PROPAGATED]
