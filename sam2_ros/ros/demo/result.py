"""The result of a demo: its recording, scored if there is ground truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sam2_ros.data.prompt_text import describe
from sam2_ros.evaluation.scores import ObjectScore, Summary, score, summary
from sam2_ros.ros.demo.error import DemoError
from sam2_ros.ros.demo.show import Show
from sam2_ros.ros.recording import Answer, Recording
from sam2_ros.tracking.masklet import Frame, Masklet


@dataclass(frozen=True)
class Result:
    """A complete recording and its scores."""

    recording: Recording
    stamps: list[int]
    """Stamps of the images in order, ns."""
    prompted: int
    """Index of the prompted image."""
    answers: list[Answer]
    """Answers in the order of the prompts."""
    answer_ms: float
    """Time from sending the prompts to the last result, ms."""
    scores: list[ObjectScore] | None
    """Scores of the prompted object; None: there is no ground truth."""

    @property
    def total(self) -> Summary | None:
        return None if self.scores is None else summary(self.scores)

    def frame(self, index: int) -> Frame:
        return self.recording.frames[self.stamps[index]]

    def count_present(self, object_id: int) -> int:
        """The number of images after the prompt on which an object is present."""
        later = (self.frame(index).masklet(object_id) for index in range(self.prompted + 1, len(self.stamps)))
        return sum(masklet is not None and masklet.present for masklet in later)


def evaluate(recording: Recording, show: Show) -> Result:
    """Checks that a recording is complete and scores it against the ground truth, if there is any. Raises DemoError."""
    stamps = sorted(recording.images)
    if len(stamps) != show.frames:
        raise DemoError(f"the bag holds {len(stamps)} images of {show.frames}")
    missing = [stamp for stamp in stamps if stamp not in recording.frames]
    if missing:
        raise DemoError(f"no masklets came for {len(missing)} of {len(stamps)} images")
    if len(recording.answers) < len(show.prompts):
        unanswered = len(show.prompts) - len(recording.answers)
        raise DemoError(f"{unanswered} of {len(show.prompts)} prompts were not answered")
    answers = recording.answers[: len(show.prompts)]
    for answer, prompt in zip(answers, show.prompts, strict=True):
        if not answer.accepted:
            raise DemoError(f"the {describe(prompt)} was refused: {answer.message}")
    prompted = stamps.index(answers[0].stamp)
    answer_ms = (answers[-1].received - recording.prompts[0][1]) / 1e6
    scores = None
    if show.truth is not None:
        frames = [recording.frames[stamp] for stamp in stamps]
        renamed = [
            replace(frame, masklets=tuple(_renamed(frame, answers[0].object_id, show.truth_id))) for frame in frames
        ]
        scores = score(show.truth, renamed, prompted={show.truth_id: prompted})
        scores = [scored for scored in scores if scored.object_id == show.truth_id]
    result = Result(recording, stamps, prompted, answers, answer_ms, scores)
    if not any(result.count_present(answer.object_id) for answer in answers):
        raise DemoError("masks are missing: no object is present on any image after the prompts")
    return result


def _renamed(frame: Frame, object_id: int, truth_id: int) -> Iterator[Masklet]:
    """The tracker's object under its ID in the ground truth."""
    if (masklet := frame.masklet(object_id)) is not None:
        yield replace(masklet, object_id=truth_id)
