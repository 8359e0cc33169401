"""What the model does for an annotator, in three phases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from remembered_recording import RememberedRecording
from small_network import default_network, moving_things

from sam2_ros.acceleration import Network
from sam2_ros.annotation.annotated_mask import DRAWN, PROMPTED, PROPAGATED, AnnotatedMask
from sam2_ros.annotation.assistant import Assistant
from sam2_ros.annotation.project import ChangedError, Project, ProjectError
from sam2_ros.checkpoints.load import load_model
from sam2_ros.evaluation.prompts import error_click
from sam2_ros.evaluation.region_boundary import region_similarity
from sam2_ros.recordings.clip_recording import ClipRecording
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.tracking import Box, Click, ImagePredictor, Prompt, PromptError, Tracker, rle

FRAMES = 9
IMAGES, MASKS = moving_things(FRAMES)
TRUTH = [masks[0] for masks in MASKS]
NOTHING = np.zeros((64, 64), bool)
DAMAGED = 7
ON, BESIDE = Click(20, 22), Click(50, 10, False)


@pytest.fixture(scope="module")
def network() -> Network:
    return Tracker(default_network(), history=1).network


@pytest.fixture
def recording() -> RememberedRecording:
    return RememberedRecording(IMAGES, (DAMAGED,))


@pytest.fixture
def project(tmp_path: Path, recording: RememberedRecording) -> Iterator[Project]:
    with Project.create(tmp_path, recording) as made:
        yield made


@pytest.fixture
def assistant(project: Project, recording: RememberedRecording, network: Network) -> Assistant:
    return Assistant(project, recording, network, "ann")


@pytest.fixture
def thing(project: Project) -> int:
    return project.add_object("ann", "thing")


def contents(project: Project, object_id: int) -> list:
    return [(mask.frame, mask.origin, mask.counts.tobytes()) for mask in project.masks_of(object_id)]


def prompt_on(project: Project, object_id: int, frame: int) -> Prompt | None:
    return next((p.prompt for p in project.prompts_of(object_id) if p.frame == frame), None)


# ---- phase 1


def test_clicks_on_one_image_accumulate(assistant: Assistant, project: Project, thing: int) -> None:
    first = assistant.segment(thing, 2, Prompt(clicks=[ON]), seconds=2.5)
    assert (first.origin, first.phase, first.author, first.present) == (PROMPTED, 1, "ann", True)
    second = assistant.segment(thing, 2, Prompt(clicks=[BESIDE]), seconds=1.5)
    predictor = ImagePredictor(assistant._predictor.network)
    predictor.set_image(IMAGES[2])
    expected = predictor.segment(Prompt(clicks=[ON])).masks[0]
    assert np.array_equal(first.mask, expected)
    assert np.array_equal(second.mask, predictor.segment(Prompt(clicks=[ON, BESIDE], mask=expected)).masks[0])
    assert prompt_on(project, thing, 2).clicks == (ON, BESIDE) and prompt_on(project, thing, 2).mask is None
    boxed = assistant.segment(thing, 2, Prompt(box=Box(5, 5, 30, 30)), phase=2)
    assert boxed.phase == 2 and prompt_on(project, thing, 2).clicks == ()
    assistant.segment(thing, 2, Prompt(clicks=[ON]))
    given = prompt_on(project, thing, 2)
    assert (given.clicks, given.box) == ((ON,), Box(5, 5, 30, 30)), "clicks refine a box"
    actions = [action for action in project.actions() if action.kind == "mask"]
    assert [action.detail["new_clicks"] for action in actions] == [1, 1, 0, 1]
    assert [action.seconds for action in actions] == [2.5, 1.5, 0.0, 0.0]
    project.undo("ann")
    project.undo("ann")
    assert np.array_equal(project.mask(thing, 2).mask, second.mask)
    assert prompt_on(project, thing, 2).clicks == (ON, BESIDE), "the next click goes on from here"


def test_click_on_a_mask_that_is_not_by_clicks_begins_anew(assistant: Assistant, project: Project, thing: int) -> None:
    alone = assistant.segment(thing, 2, Prompt(clicks=[ON]))
    assistant.draw(thing, 2, TRUTH[2])
    assert np.array_equal(assistant.segment(thing, 2, Prompt(clicks=[ON])).mask, alone.mask)
    assert prompt_on(project, thing, 2).clicks == (ON,)


def test_drawn_masks_are_taken_as_they_are(assistant: Assistant, project: Project, thing: int) -> None:
    drawn = assistant.draw(thing, 3, TRUTH[3].astype(np.uint8) * 255, phase=2, seconds=9.0)
    assert np.array_equal(drawn.mask, TRUTH[3]) and (drawn.origin, drawn.phase) == (DRAWN, 2)
    empty = assistant.draw(thing, 4, NOTHING)
    assert not empty.present and empty.counts.sum() == 64 * 64
    with pytest.raises(PromptError, match="same size"):
        assistant.draw(thing, 4, np.ones((32, 64), bool))
    for frame, why in ((FRAMES, "frames 0 to 8"), (DAMAGED, "damaged")):
        with pytest.raises(ProjectError, match=why):
            assistant.draw(thing, frame, NOTHING)
        with pytest.raises(ProjectError, match=why):
            assistant.segment(thing, frame, Prompt(clicks=[ON]))
    assert [mask.frame for mask in project.masks_of(thing)] == [3, 4]


# ---- phase 2 and 3


def test_propagation_leaves_masks_by_hand_and_is_one_action(
    assistant: Assistant, project: Project, recording: RememberedRecording, network: Network, thing: int
) -> None:
    assistant.draw(thing, 2, TRUTH[2])
    assistant.draw(thing, 5, TRUTH[5])
    before, actions = contents(project, thing), project.last_action
    progress: list[tuple[int, int]] = []
    count = assistant.propagate(thing, 2, phase=2, on_progress=lambda *so_far: progress.append(so_far), seconds=0.5)
    after = contents(project, thing)
    assert count == 6 and project.last_action == actions + 1
    assert [frame for frame, _, _ in after] == [0, 1, 2, 3, 4, 5, 6, 8], "frame 7 is damaged"
    assert [one for one in after if one[1] == DRAWN] == before
    assert {mask.phase for mask in project.masks_of(thing) if mask.origin == PROPAGATED} == {2}
    assert progress == [(done, 7) for done in range(7)]
    assert project.undo("ann").kind == "propagate" and contents(project, thing) == before
    Assistant(project, recording, network, "ann").propagate(thing, 2)
    assert contents(project, thing) == after, "another process does the same"
    assistant.propagate(thing, 5, span=range(4, 7))
    assert {f for f, o, c in contents(project, thing) if (f, o, c) not in after} <= {4, 6}


def test_cancelled_propagation_stores_nothing(assistant: Assistant, project: Project, thing: int) -> None:
    assistant.draw(thing, 2, TRUTH[2])
    before, actions, asked = contents(project, thing), project.last_action, []
    assert assistant.propagate(thing, 2, cancelled=lambda: asked.append(1) or len(asked) > 3) == 0
    assert contents(project, thing) == before and project.last_action == actions
    assert assistant.propagate(thing, 2) == 7


def test_propagation_ends_where_somebody_sees_an_error(assistant: Assistant, project: Project, thing: int) -> None:
    assistant.draw(thing, 2, TRUTH[2])
    assistant.propagate(thing, 2)
    whole = contents(project, thing)
    project.undo("ann")
    assert assistant.propagate(thing, 2, is_fine=lambda mask: mask.frame < 5) == 3
    assert contents(project, thing) == [one for one in whole if 2 <= one[0] <= 5], "those before it, and itself"


def test_propagation_needs_a_mask_by_hand(assistant: Assistant, project: Project, thing: int) -> None:
    assistant.draw(thing, 2, NOTHING)
    with pytest.raises(ProjectError, match="visible on no mask"):
        assistant.propagate(thing, 2)
    assistant.draw(thing, 3, TRUTH[3])
    with pytest.raises(ProjectError, match="no mask by hand on frame 4"):
        assistant.propagate(thing, 4)
    with pytest.raises(ProjectError, match="not among"):
        assistant.propagate(thing, 2, span=range(3, 5))
    with pytest.raises(ProjectError, match="phase 1"):
        assistant.propagate(thing, 2, phase=1)
    with pytest.raises(ProjectError, match="no object 9"):
        assistant.propagate(9, 2)
    assert project.mask(thing, 4) is None
    assert assistant.propagate(thing, 2) == 6, "from where it is not visible, with memory of where it is"


def test_mask_of_two_pixels_is_corrected_like_none(assistant: Assistant, project: Project, thing: int) -> None:
    """The network cannot see such a mask, which its own answer may be."""
    two = np.zeros_like(TRUTH[2])
    two[40, 40:42] = True
    height, width = two.shape
    numbers = height, width, True, 0.9, 0.5, rle.encode(two)
    project.put_mask("ann", AnnotatedMask(thing, 2, *numbers, PROMPTED, 1), Prompt(clicks=[ON]))
    assert assistant.segment(thing, 2, Prompt(clicks=[BESIDE])).origin == PROMPTED
    assert assistant.correct(thing, 2, Prompt(clicks=[ON])).origin == PROMPTED
    assert prompt_on(project, thing, 2).clicks == (ON, BESIDE, ON)


def test_corrections_accumulate_and_have_memory(
    assistant: Assistant, project: Project, recording: RememberedRecording, network: Network, thing: int
) -> None:
    assistant.draw(thing, 2, TRUTH[2])
    assistant.propagate(thing, 2)
    propagated = project.mask(thing, 5)
    corrected = assistant.correct(thing, 5, Prompt(clicks=[ON]), seconds=3.0)
    assert (corrected.origin, corrected.phase) == (PROMPTED, 3)
    tracker = Tracker(network, history=1)
    tracker.step(IMAGES[2])
    tracker.prompt(Prompt(1, mask=TRUTH[2]))
    ((map, pointer),) = tracker.objects[1].bank.prompted.values()
    tracker.reset()
    tracker.adopt(1, "", [(3, map, pointer)])
    tracker.step(IMAGES[5])
    expected = tracker.prompt(Prompt(1, clicks=[ON], mask=propagated.mask)).mask
    assert np.array_equal(corrected.mask, expected)
    before = contents(project, thing)
    assistant.correct(thing, 5, Prompt(clicks=[BESIDE]))
    again = contents(project, thing)
    assert prompt_on(project, thing, 5).clicks == (ON, BESIDE)
    project.undo("ann")
    assert contents(project, thing) == before and prompt_on(project, thing, 5).clicks == (ON,)
    Assistant(project, recording, network, "ann").correct(thing, 5, Prompt(clicks=[BESIDE]))
    assert contents(project, thing) == again, "what was undone is not remembered, nor does it need the same process"
    assistant.correct(thing, 5, Prompt(mask=TRUTH[5]))
    assert project.mask(thing, 5).origin == DRAWN and np.array_equal(project.mask(thing, 5).mask, TRUTH[5])
    assert [one for one in contents(project, thing) if one[0] != 5] == [one for one in before if one[0] != 5]


def test_first_correction_needs_no_memory(assistant: Assistant, project: Project, thing: int) -> None:
    with pytest.raises(PromptError, match="positive click"):
        assistant.correct(thing, 4, Prompt(clicks=[BESIDE]))
    with pytest.raises(PromptError, match="outside"):
        assistant.correct(thing, 4, Prompt(clicks=[Click(64, 3)]))
    assert not contents(project, thing)
    assert assistant.correct(thing, 4, Prompt(clicks=[ON])).present


# ---- new objects


def test_candidates_are_those_of_the_image_and_nothing_is_stored(assistant: Assistant, project: Project) -> None:
    predictor = ImagePredictor(assistant._predictor.network)
    predictor.set_image(IMAGES[2])
    for prompt in (Prompt(clicks=[ON]), Prompt(box=Box(5, 5, 30, 30)), Prompt(clicks=[ON, BESIDE])):
        expected, found = predictor.segment(prompt), assistant.candidates(2, prompt)
        assert np.array_equal(found.masks, expected.masks) and np.array_equal(found.iou, expected.iou)
    assert assistant.candidates(2, Prompt(clicks=[ON])).masks.shape == (3, 64, 64)
    with pytest.raises(PromptError, match="outside"):
        assistant.candidates(2, Prompt(clicks=[Click(64, 3)]))
    with pytest.raises(ProjectError, match="damaged"):
        assistant.candidates(DAMAGED, Prompt(clicks=[ON]))
    assert project.last_action == 0 and project.objects() == []


@pytest.mark.parametrize("phase", [1, 2, 3])
def test_an_object_begins_with_its_mask_in_one_action(assistant: Assistant, project: Project, phase: int) -> None:
    begun = assistant.begin(2, Prompt(clicks=[ON]), "cup", phase, seconds=2.5)
    other = project.add_object("ann")
    later = (assistant.correct if phase == 3 else assistant.segment)(other, 2, Prompt(clicks=[ON]))
    assert np.array_equal(begun.mask, later.mask) and (begun.presence, begun.iou) == (later.presence, later.iou)
    assert (begun.origin, begun.phase, project.object(begun.object_id).label) == (PROMPTED, phase, "cup")
    assert prompt_on(project, begun.object_id, 2).clicks == (ON,)
    action = next(project.actions())
    assert (action.object_id, action.seconds, action.detail["new_clicks"]) == (begun.object_id, 2.5, 1)
    assert [one.kind for one in project.actions()] == ["mask", "add", "mask"]
    assistant.segment(begun.object_id, 2, Prompt(clicks=[BESIDE]), phase=2)
    assert prompt_on(project, begun.object_id, 2).clicks == (ON, BESIDE), "clicks go on from there"


def test_a_candidate_that_was_chosen_is_taken_as_it_is(assistant: Assistant, project: Project) -> None:
    candidates = assistant.candidates(2, Prompt(clicks=[ON]))
    for choice, phase in ((0, 1), (1, 1), (2, 3)):
        begun = assistant.begin(2, Prompt(clicks=[ON]), phase=phase, choice=choice)
        assert np.array_equal(begun.mask, candidates.masks[choice]) and begun.iou == candidates.iou[choice]
        assert prompt_on(project, begun.object_id, 2).clicks == (ON,)
    # another one for the same click, on an object that is there
    chosen = assistant.segment(begun.object_id, 2, Prompt(clicks=[ON], replace=True), 3, choice=1)
    assert np.array_equal(chosen.mask, candidates.masks[1]) and chosen.phase == 3
    assert prompt_on(project, begun.object_id, 2).clicks == (ON,)
    before = project.last_action
    with pytest.raises(PromptError, match="no candidate 3; there are 0 to 2"):
        assistant.begin(2, Prompt(clicks=[ON]), choice=3)
    assert project.last_action == before


def test_an_object_begins_with_a_drawn_mask(assistant: Assistant, project: Project) -> None:
    begun = assistant.begin(2, Prompt(mask=TRUTH[2]), "cup")
    assert begun.origin == DRAWN and np.array_equal(begun.mask, TRUTH[2])
    assert [action.kind for action in project.actions()] == ["mask"]
    assert project.undo("ann") and project.objects() == []


@pytest.mark.parametrize("phase", [1, 3])
def test_nothing_begins_with_a_prompt_that_cannot_be_followed(
    assistant: Assistant, project: Project, phase: int
) -> None:
    for frame, prompt, label in (
        (2, Prompt(clicks=[BESIDE]), ""),
        (2, Prompt(clicks=[Click(64, 3)]), ""),
        (DAMAGED, Prompt(clicks=[ON]), ""),
        (FRAMES, Prompt(clicks=[ON]), ""),
        (2, Prompt(clicks=[ON]), "two\nlines"),
        (2, Prompt(mask=NOTHING), ""),
    ):
        with pytest.raises((PromptError, ProjectError)):
            assistant.begin(frame, prompt, label, phase)
    with pytest.raises(ProjectError, match="no phase 4"):
        assistant.begin(2, Prompt(clicks=[ON]), phase=4)
    assert project.last_action == 0 and project.objects() == []


# ---- two annotators


def test_changes_of_others_are_not_overwritten(
    assistant: Assistant, project: Project, recording: RememberedRecording, network: Network, thing: int
) -> None:
    assistant.draw(thing, 2, TRUTH[2])
    seen = project.last_action
    with Project(project.folder) as other:
        ben = Assistant(other, recording, network, "ben")
        ben.correct(thing, 4, Prompt(clicks=[ON]), seen)
        before = contents(project, thing)
        for action in (assistant.correct, assistant.segment):
            with pytest.raises(ChangedError, match="ben"):
                action(thing, 4, Prompt(clicks=[ON]), seen=seen)
        with pytest.raises(ChangedError, match="ben"):
            assistant.draw(thing, 4, TRUTH[4], seen=seen)

        def interfere(done: int, total: int) -> None:
            if done == 3:
                ben.draw(thing, 6, TRUTH[6])

        with pytest.raises(ChangedError, match="ben"):
            assistant.propagate(thing, 2, on_progress=interfere)
        assert [one for one in contents(project, thing) if one[0] != 6] == before
        assert assistant.propagate(thing, 2) == 5
        assert np.array_equal(project.mask(thing, 6).mask, TRUTH[6])


# ---- with the default model


@pytest.mark.slow
def test_corrected_object_is_followed_better_in_both_directions(tmp_path: Path) -> None:
    """A wrong mask on frame 6 is corrected by clicks; before and after that frame, masks become better."""
    settings = SceneSettings(192, 256, frames=13, objects=(2, 3), size=(0.2, 0.5), leaving=0, occlusion=0, lookalikes=0)
    clip = SyntheticScenes(settings).scene(4)
    truth = [masks[0] for masks in clip.masks]
    recording = ClipRecording(clip)

    def similarity(frames: range) -> float:
        return float(np.mean([region_similarity(project.mask(thing, f).mask, truth[f]) for f in frames]))

    with Project.create(tmp_path, recording) as project:
        assistant = Assistant(project, recording, load_model(), "ann")
        thing = project.add_object("ann")
        part = truth[6].copy()
        _, columns = np.nonzero(part)
        part[:, round(columns.mean()) :] = False
        assistant.draw(thing, 6, part)
        assistant.propagate(thing, 6, phase=2)
        before = similarity(range(6)), similarity(range(7, 13))
        for _ in range(4):
            if click := error_click(project.mask(thing, 6).mask, truth[6]):
                assistant.correct(thing, 6, Prompt(clicks=[click]))
        assert region_similarity(project.mask(thing, 6).mask, truth[6]) > 0.8
        assistant.propagate(thing, 6)
        after = similarity(range(6)), similarity(range(7, 13))
        assert all(now > earlier + 0.15 for now, earlier in zip(after, before, strict=True)), (before, after)
        assert min(after) > 0.75, after
