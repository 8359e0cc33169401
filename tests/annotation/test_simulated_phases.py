"""The three phases of annotation, played by a simulated annotator with real projects."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from small_clips import make_clip
from small_network import default_network

from sam2_ros.annotation import simulated_phases
from sam2_ros.annotation.annotated_mask import DRAWN, PROMPTED, PROPAGATED, AnnotatedMask
from sam2_ros.annotation.phase_report import ALL, alignment, j_and_f
from sam2_ros.annotation.project import Project
from sam2_ros.annotation.simulated_phases import PlayedClip, PlayedFrame, PlayedObject, play
from sam2_ros.annotation.timings import Timings
from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.simulated_annotator import Costs, SimulatedAnnotator
from sam2_ros.tracking.prompt import Prompt

_three = make_clip(frames=17)
CLIP = replace(_three, object_ids=(1, 5), masks=[masks[[0, 2]] for masks in _three.masks])
"""24 frames a second: 0, 4, 8, 12 and 16 are annotated; the second object comes on frame 4."""
COSTS = Costs(look=1.0, click=2.0, further_click=0.5, draw=30.0)
PERSON = SimulatedAnnotator(costs=COSTS)


class Model:
    """An assistant whose model knows the truth, but for what a test makes it forget."""

    clicks_needed = 1
    lost: Callable[[int], bool] = staticmethod(lambda frame: False)
    """Frames on which tracking fails."""
    prompts: ClassVar[list[tuple[int, int, str]]]
    """Phase, frame and what was asked."""

    def __init__(self, project: Project, recording: Any, network: Any, by: str) -> None:
        self.project, self.by = project, by

    def _truth(self, object_id: int, frame: int) -> np.ndarray:
        label = self.project.object(object_id).label
        return CLIP.masks[frame][CLIP.object_ids.index(int(label.split(",")[0]))]

    def _answer(self, object_id: int, frame: int, prompt: Prompt, phase: int, seconds: float) -> AnnotatedMask:
        self.prompts.append((phase, frame, "click"))
        before = [one.prompt.clicks for one in self.project.prompts_of(object_id) if one.frame == frame]
        clicks = (*(before[0] if before else ()), *prompt.clicks)
        truth = self._truth(object_id, frame)
        drawn = AnnotatedMask.drawn(object_id, frame, truth & (len(clicks) >= self.clicks_needed), phase)
        self.project.put_mask(self.by, replace(drawn, origin=PROMPTED), Prompt(clicks=clicks), seconds=seconds)
        return self.project.mask(object_id, frame)

    def segment(
        self, object_id: int, frame: int, prompt: Prompt, phase: int = 1, seconds: float = 0.0
    ) -> AnnotatedMask:
        return self._answer(object_id, frame, prompt, phase, seconds)

    def correct(self, object_id: int, frame: int, prompt: Prompt, seconds: float = 0.0) -> AnnotatedMask:
        return self._answer(object_id, frame, prompt, 3, seconds)

    def draw(self, object_id: int, frame: int, mask: np.ndarray, phase: int, seconds: float = 0.0) -> None:
        self.prompts.append((phase, frame, "draw"))
        self.project.put_mask(self.by, AnnotatedMask.drawn(object_id, frame, mask, phase), seconds=seconds)

    def propagate(
        self, object_id: int, frame: int, phase: int, span: range, is_fine: Callable[[AnnotatedMask], bool]
    ) -> None:
        self.prompts.append((phase, frame, "propagate"))
        tracked = []
        for other in span:
            mask = self._truth(object_id, other) & (not self.lost(other))
            tracked.append(replace(AnnotatedMask.drawn(object_id, other, mask, phase), origin=PROPAGATED))
            if other > frame and not is_fine(tracked[-1]):
                break
        self.project.put_propagated(self.by, object_id, tracked)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> type[Model]:
    class OneModel(Model):
        prompts: ClassVar[list[tuple[int, int, str]]] = []

    monkeypatch.setattr(simulated_phases, "Assistant", OneModel)
    return OneModel


def test_a_perfect_model_needs_one_click(model: type[Model], tmp_path: Path) -> None:
    shares: list[float] = []
    played = play(CLIP, None, PERSON, tmp_path / "project", on_progress=shares.append)
    # objects 1 and 5 have 5 and 4 frames
    assert played.timings == {
        1: Timings(2, frames=9, edited=9, clicked=9, clicks=9, seconds=9 * 3.0, looking=9.0),
        2: Timings(2, frames=9, edited=2, clicked=2, clicks=2, seconds=9 * 1.0 + 2 * 2.0, looking=9.0),
        3: Timings(2, frames=9, edited=2, clicked=2, clicks=2, seconds=9 * 1.0 + 2 * 2.0, looking=9.0),
    }
    assert j_and_f(played.objects) == 1
    assert [tuple(frame.frame for frame in one.frames) for one in played.objects[::3]] == [
        (0, 4, 8, 12, 16),
        (4, 8, 12, 16),
    ]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1


def test_lost_frames_are_corrected_and_propagated_from_there(model: type[Model], tmp_path: Path) -> None:
    clip = replace(CLIP, object_ids=(1,), masks=[masks[:1] for masks in CLIP.masks])
    model.clicks_needed = 3
    model.lost = staticmethod(lambda frame: frame in (7, 8, 9, 16))
    played = play(clip, None, PERSON, tmp_path / "project")
    cost = 2.0 + 2 * 0.5
    for phase in (2, 3):
        assert played.timings[phase] == Timings(
            1, frames=5, edited=3, clicked=3, clicks=9, seconds=5 * 1.0 + 3 * cost, looking=5.0
        )
        propagated = [(frame, kind) for one, frame, kind in model.prompts if one == phase and kind == "propagate"]
        assert propagated == [(0, "propagate"), (8, "propagate"), (16, "propagate")]
    with Project(tmp_path / "project") as project:
        seconds = sum(action.seconds for action in project.actions())
        assert seconds == sum(work.seconds for work in played.timings.values())
        assert {action.annotator for action in project.actions()} == {"simulated"}


def test_what_clicks_cannot_do_is_drawn(model: type[Model], tmp_path: Path) -> None:
    model.clicks_needed = 99
    person = SimulatedAnnotator(max_clicks=2, costs=COSTS)
    work = play(CLIP, None, person, tmp_path / "project").timings
    assert work[1] == Timings(2, 9, edited=9, clicked=9, clicks=18, drawn=9, seconds=9 * (1 + 2.5 + 30), looking=9)
    assert work[3] == Timings(2, 9, edited=2, clicked=2, clicks=4, drawn=2, seconds=9 + 2 * (2.5 + 30), looking=9)


def test_hidden_objects_are_marked_where_the_model_sees_them(model: type[Model], tmp_path: Path) -> None:
    hidden = [masks & (index not in range(7, 14)) for index, masks in enumerate(CLIP.masks)]
    played = play(replace(CLIP, masks=hidden), None, PERSON, tmp_path / "project")  # the model still sees them
    # on 8 and 12 of both objects
    first = Timings(2, 9, 9, clicked=5, clicks=5, drawn=4, seconds=9 + 5 * 2.0, looking=9, untimed=4)
    assert played.timings[1] == first, "nothing has to be done where nothing says that it is visible"
    assert played.timings[2] == Timings(2, 9, 6, clicked=2, clicks=2, drawn=4, seconds=9 + 6 * 2.0, looking=9)
    assert j_and_f(played.objects) == 1
    assert alignment(played.objects)[ALL] == 1


def test_only_frames_with_a_known_mask_count(model: type[Model], tmp_path: Path) -> None:
    known = np.ones((17, 2), bool)
    known[8, 0] = False
    masks = [None if index == 12 else masks for index, masks in enumerate(CLIP.masks)]
    played = play(replace(CLIP, masks=masks, known=known), None, PERSON, tmp_path / "project")
    assert [[frame.frame for frame in one.frames] for one in played.objects[::3]] == [[0, 4, 16], [4, 8, 16]]


def test_clip_without_visible_objects(model: type[Model], tmp_path: Path) -> None:
    clip = replace(CLIP, masks=[np.zeros_like(masks) for masks in CLIP.masks])
    assert play(clip, None, PERSON, tmp_path / "project") == PlayedClip(CLIP.name, {}, ())


@pytest.mark.slow
def test_the_real_assistant_gives_the_same_twice(tmp_path: Path) -> None:
    clip = Clip(CLIP.name, CLIP.frames[:9], CLIP.object_ids, CLIP.masks[:9])
    person = SimulatedAnnotator(max_clicks=2, costs=COSTS)
    played, again = (play(clip, default_network(), person, tmp_path / name) for name in ("one", "two"))
    assert played == again
    assert played.timings[1].edited == played.timings[1].frames == 5
    for one in played.objects:
        origins = {frame.origin for frame in one.frames}
        assert origins <= ({PROMPTED, DRAWN} if one.phase == 1 else {PROMPTED, DRAWN, PROPAGATED})
        assert all(frame.j >= (0.85 if frame.origin == PROMPTED else 0.75) for frame in one.frames)


def test_alignment_is_by_the_size_of_phase_1() -> None:
    def frame(area: int, iou: float) -> PlayedFrame:
        return PlayedFrame(0, PROPAGATED, 1.0, 0.5, area, iou)

    objects = [  # their means: 1023, 1024 and 9216 pixels
        PlayedObject("clip", number, 2, tuple(frames))
        for number, frames in enumerate(
            (
                [frame(0, 0.0), frame(46, 0.8), frame(2000, 0.75)],
                [frame(1024, 0.9)],
                [frame(32, 0.1), frame(18400, 0.8)],
            )
        )
    ]
    assert alignment(objects) == {ALL: 3 / 5, "small": 0.5, "medium": 1.0, "large": 0.5}
    assert j_and_f(objects) == 0.75
