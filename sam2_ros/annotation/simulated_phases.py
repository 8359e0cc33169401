"""The three phases of annotation, played on a clip with known masks: ground truth is the person at the assistant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sam2_ros.acceleration import Network
from sam2_ros.annotation.annotated_mask import AnnotatedMask
from sam2_ros.annotation.assistant import Assistant
from sam2_ros.annotation.project import Project
from sam2_ros.annotation.timings import PHASES, Timings, timings
from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.region_boundary import boundary_accuracy, region_similarity
from sam2_ros.evaluation.simulated_annotator import SimulatedAnnotator
from sam2_ros.model.sam2 import SAM2
from sam2_ros.recordings.clip_recording import ClipRecording
from sam2_ros.tracking.prompt import Prompt

ANNOTATOR = "simulated"
"""Its name in the project."""


@dataclass(frozen=True)
class PlayedFrame:
    """One object on one frame after a phase."""

    frame: int
    origin: str
    """Of its mask: one of `annotated_mask.ORIGINS`."""
    j: float
    f: float
    """Against the truth."""
    area: int
    """Pixels of the mask of phase 1; 0: the object is not visible."""
    alignment: float
    """IoU with the mask of phase 1."""


@dataclass(frozen=True)
class PlayedObject:
    """One object after one phase."""

    clip: str
    object_id: int
    """In the clip."""
    phase: int
    frames: tuple[PlayedFrame, ...]


@dataclass(frozen=True)
class PlayedClip:
    """All objects of a clip after all phases."""

    name: str
    timings: Mapping[int, Timings]
    """The work, by phase."""
    objects: tuple[PlayedObject, ...]


def play(
    clip: Clip,
    network: SAM2 | Network,
    annotator: SimulatedAnnotator,
    folder: Path,
    annotated_fps: float = 6.0,
    on_progress: Callable[[float], None] = lambda share: None,
) -> PlayedClip:
    """Annotate every object of a clip three times, once in each phase, and compare the results.

    An object is annotated from the first frame on which it is visible to the clip's end, on those frames of the
    project's that have a known mask. In phases 2 and 3 the annotator watches how masks are propagated, stops at a frame
    that is wrong, corrects it, and has it propagated from there on; earlier frames were fine, and stay.

    Args:
        folder: of the project, which is made there; each object is in it once for every phase.
        annotated_fps: frames per second that are annotated.
        on_progress: called with the share that is done, 0 .. 1.

    Raises:
        ClipError: an image or a mask is damaged.
    """
    recording = ClipRecording(clip)
    with Project.create(folder, recording, annotated_fps) as project:
        assistant = Assistant(project, recording, network, ANNOTATOR)
        truths = {row: _truths(clip, row, project.annotated_frames) for row in range(len(clip.object_ids))}
        work = [(row, phase) for row, truth in truths.items() if truth for phase in PHASES]
        objects, first = [], {}
        for number, (row, phase) in enumerate(work):
            on_progress(number / len(work))
            label = f"{clip.object_ids[row]}, phase {phase}"
            player = Player(project, assistant, annotator, project.add_object(ANNOTATOR, label), phase, len(clip))
            for done in player.play(truths[row]):
                on_progress((number + done) / len(work))
            masks = {mask.frame: mask for mask in project.masks_of(player.object_id) if mask.frame in truths[row]}
            if phase == 1:
                first = {frame: mask.mask for frame, mask in masks.items()}
            frames = tuple(_compared(masks[frame], truth, first[frame]) for frame, truth in truths[row].items())
            objects.append(PlayedObject(clip.name, clip.object_ids[row], phase, frames))
        on_progress(1.0)
        return PlayedClip(clip.name, timings(project), tuple(objects))


class Player:
    """The annotator with one object in one phase."""

    def __init__(
        self,
        project: Project,
        assistant: Assistant,
        annotator: SimulatedAnnotator,
        object_id: int,
        phase: int,
        length: int,
    ) -> None:
        self.object_id = object_id
        self._project, self._assistant, self._annotator = project, assistant, annotator
        self._phase, self._length = phase, length

    def play(self, truths: Mapping[int, np.ndarray]) -> Iterator[float]:
        """Annotate the object on these frames, on the first of which it is visible. Yields the share that is done."""
        looked = 0
        for number, (frame, truth) in enumerate(truths.items()):
            known = self._project.mask(self.object_id, frame)
            looked += 1
            if known is None or self._annotator.touches(truth, known.mask):
                self._look(looked)
                looked = 0
                self._edit(frame, truth, known)
                if self._phase > 1:
                    self._propagate(frame, truths)
            yield (number + 1) / len(truths)
        self._look(looked)

    def _propagate(self, frame: int, truths: Mapping[int, np.ndarray]) -> None:
        """Have a mask propagated to the end, or to the first frame that has to be corrected."""

        def is_fine(mask: AnnotatedMask) -> bool:
            truth = truths.get(mask.frame)
            return truth is None or not self._annotator.touches(truth, mask.mask)

        span = range(frame, self._length)
        self._assistant.propagate(self.object_id, frame, self._phase, span, is_fine=is_fine)

    def _look(self, frames: int) -> None:
        if frames:
            seconds = frames * self._annotator.costs.look
            self._project.look(ANNOTATOR, self.object_id, self._phase, frames, seconds)

    def _edit(self, frame: int, truth: np.ndarray, known: AnnotatedMask | None) -> None:
        """Make the mask on a frame anew (phases 1 and 2), or correct it (phase 3)."""
        mask = np.zeros_like(truth) if known is None or self._phase < 3 else known.mask
        clicks, spent = 0, 0.0
        while (correction := self._annotator.correction(truth, mask, clicks)) is not None:
            clicks += correction.click is not None
            whole = self._annotator.seconds(clicks, correction.drawn)
            seconds, spent = whole - spent, whole
            if correction.drawn is not None:
                self._assistant.draw(self.object_id, frame, correction.drawn, self._phase, seconds=seconds)
                return
            assert correction.click is not None
            prompt = Prompt(self.object_id, clicks=(correction.click,))
            if self._phase == 3:
                mask = self._assistant.correct(self.object_id, frame, prompt, seconds=seconds).mask
            else:
                mask = self._assistant.segment(self.object_id, frame, prompt, self._phase, seconds=seconds).mask
        if not clicks:  # it is not visible; where nothing says that it is, nothing has to be done
            seconds = 0.0 if known is None else self._annotator.seconds(0, truth)
            self._assistant.draw(self.object_id, frame, truth, self._phase, seconds=seconds)


def _truths(clip: Clip, row: int, frames: list[int]) -> dict[int, np.ndarray]:
    """The known masks of an object on these frames, from the first one on which it is visible."""
    truths: dict[int, np.ndarray] = {}
    for frame in frames:
        masks = clip.masks[frame]
        if masks is None or (clip.known is not None and not clip.known[frame, row]):
            continue
        if truths or masks[row].any():
            truths[frame] = masks[row]
    return truths


def _compared(mask: AnnotatedMask, truth: np.ndarray, first: np.ndarray) -> PlayedFrame:
    made = mask.mask
    j, f = region_similarity(made, truth), boundary_accuracy(made, truth)
    return PlayedFrame(mask.frame, mask.origin, j, f, int(first.sum()), region_similarity(made, first))
