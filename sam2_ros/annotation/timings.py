"""How much work annotation projects were: the numbers of SAM 2's table of phases, from the actions of projects."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sam2_ros.annotation.annotated_mask import BY_HAND, DRAWN
from sam2_ros.annotation.project import LOOK, Project

PHASES = (1, 2, 3)


@dataclass(frozen=True)
class Timings:
    """The work of one phase."""

    objects: int = 0
    frames: int = 0
    """That had to be annotated, summed over objects: at the project's rate, from the first one on which the object is
    visible to the last one that has its mask."""
    edited: int = 0
    """Those on which a person made the mask."""
    clicked: int = 0
    """Those with clicks."""
    clicks: int = 0
    """Clicks on all frames."""
    drawn: int = 0
    """Frames on which the mask was drawn by hand at last; those on which the object is not visible, too."""
    seconds: float = 0.0
    """That people took."""
    looking: float = 0.0
    """Those in which they only looked at frames that were fine, as far as projects know."""
    untimed: int = 0
    """Edited frames that took no time, as far as projects know: of people's work, those of which nobody said it."""

    def __add__(self, other: Timings) -> Timings:
        return Timings(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def seconds_per_frame(self) -> float:
        """NaN without frames, or if none was timed."""
        is_known = self.frames and (not self.edited or self.untimed < self.edited)
        return self.seconds / self.frames if is_known else math.nan

    @property
    def edited_share(self) -> float:
        """0 .. 1; NaN without frames."""
        return self.edited / self.frames if self.frames else math.nan

    @property
    def drawn_share(self) -> float:
        """0 .. 1; NaN without frames."""
        return self.drawn / self.frames if self.frames else math.nan

    @property
    def clicks_per_clicked_frame(self) -> float:
        """NaN without clicks."""
        return self.clicks / self.clicked if self.clicked else math.nan


@dataclass
class _Work:
    """What was done for one object in one phase."""

    seconds: float = 0.0
    looking: float = 0.0
    edits: dict[int, tuple[int, str]] = field(default_factory=dict)
    """The most clicks at a time, and the last mask's origin, by frame."""
    timed: set[int] = field(default_factory=set)
    """Frames of which it is known how long they took."""


def timings(project: Project) -> dict[int, Timings]:
    """The work in a project, by phase; phases in which nothing was done are left out.

    What was undone has taken its time, but edited nothing. Verification is no annotation.
    """
    work: dict[tuple[int, int], _Work] = defaultdict(_Work)
    phases: dict[int, int] = {}  # of each object, as far as it has got
    for action in project.actions():
        if action.object_id is None or action.kind == "verdict":
            continue
        phase = action.phase or phases.get(action.object_id)
        if phase not in PHASES:
            continue
        phases[action.object_id] = phase
        done = work[action.object_id, phase]
        done.seconds += action.seconds
        if action.kind == LOOK:
            done.looking += action.seconds
        if action.kind == "mask" and action.undone_by is None and action.frame is not None:
            clicks, _ = done.edits.get(action.frame, (0, ""))
            done.edits[action.frame] = max(clicks, action.detail.get("clicks", 0)), action.detail["origin"]
            if action.seconds:
                done.timed.add(action.frame)
    grid = project.annotated_frames
    summed: dict[int, Timings] = {}
    for (object_id, phase), done in sorted(work.items(), key=lambda item: item[0][1]):
        frames = _to_annotate(project, object_id, grid) | done.edits.keys()
        counts = [clicks for clicks, _ in done.edits.values()]
        summed[phase] = summed.get(phase, Timings()) + Timings(
            objects=1,
            frames=len(frames),
            edited=len(done.edits),
            clicked=sum(count > 0 for count in counts),
            clicks=sum(counts),
            drawn=sum(origin == DRAWN for _, origin in done.edits.values()),
            seconds=done.seconds,
            looking=done.looking,
            untimed=len(done.edits.keys() - done.timed),
        )
    return summed


def total(of_projects: Iterable[Mapping[int, Timings]]) -> dict[int, Timings]:
    """The work in several projects, by phase."""
    summed: dict[int, Timings] = {}
    for by_phase in of_projects:
        for phase, one in by_phase.items():
            summed[phase] = summed.get(phase, Timings()) + one
    return dict(sorted(summed.items()))


def _to_annotate(project: Project, object_id: int, grid: list[int]) -> set[int]:
    masks = [(mask.frame, mask.present or mask.origin in BY_HAND) for mask in project.masks_of(object_id)]
    seen = [frame for frame, shown in masks if shown]
    return {frame for frame in grid if seen and seen[0] <= frame <= masks[-1][0]}
