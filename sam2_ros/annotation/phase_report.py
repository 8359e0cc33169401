"""The SAM 2 paper's table of phases (section 5, table 1), for any data set and model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from sam2_ros.annotation.simulated_phases import PlayedClip, PlayedObject
from sam2_ros.annotation.timings import PHASES, Timings, total
from sam2_ros.evaluation.report import ALL, Curves, Report, Table, mean, percent

NAMES = {1: "1: clicks on every frame", 2: "2: masks, propagated", 3: "3: clicks with memory"}

PAPER = {
    1: ("37.8", "100.0", "", "4.80", "", "", "", ""),
    2: ("7.4", "23.2", "", "3.61", "86.4", "71.3", "80.4", "97.9"),
    3: ("4.5", "19.0", "", "2.68", "89.1", "72.8", "81.8", "100.0"),
}
"""Seconds a frame, frames edited, (drawn: not told), clicks; alignment of all, small, medium and large objects."""

WORK_COLUMNS = ("s/frame", "edited", "drawn", "clicks")
ALIGNED_COLUMNS = ("aligned", "small", "medium", "large")

ALIGNED_IOU = 0.75
"""A mask is aligned to that of phase 1 above this IoU."""

SIZES = {"small": (1, 32**2), "medium": (32**2, 96**2), "large": (96**2, math.inf)}
"""Mean pixels of an object's masks in phase 1: from the first to below the second number, as SA-V sorts its masklets
(`masklet_size_bucket`; https://github.com/facebookresearch/sam2/tree/main/sav_dataset)."""

WORK_NOTE = (
    "s/frame: seconds of work for a frame that has to be annotated. edited: frames on which the annotator made the"
    " mask, in percent; drawn: by hand at last, or marked as not visible. clicks: on a frame with clicks."
)
NOTE = (
    "J&F: against the truth, mean over objects, in percent. aligned: masks whose IoU with the mask of phase 1 is over"
    f" {ALIGNED_IOU}; of objects up to 32 x 32 pixels on average, up to 96 x 96, and larger, as SA-V sorts"
    " its masklets. Paper: Ravi et al., SAM 2, table 1; other videos, and people instead of costs."
)


def work_report(settings: Mapping[str, str], work: Mapping[int, Timings]) -> Report:
    """The work of people in annotation projects, without truth to compare their masks with."""
    rows = []
    for phase in PHASES:
        if phase in work:
            rows.append((NAMES[phase], [*_work(work[phase]), str(work[phase].objects), str(work[phase].frames)]))
        rows.append((f"   paper, phase {phase}", [*PAPER[phase][:4], "", ""]))
    table = Table("phase", [*WORK_COLUMNS, "objects", "frames"], rows)
    untimed, edited = sum(one.untimed for one in work.values()), sum(one.edited for one in work.values())
    missing = f"{untimed} of {edited} edited frames were not timed; s/frame is without them."
    notes = [WORK_NOTE, missing] if untimed else [WORK_NOTE]
    return Report(settings, [table], notes, {"phases": _data(work)}, Curves({}, "", ""))


def phase_report(settings: Mapping[str, str], clips: Sequence[PlayedClip], notes: Sequence[str] = ()) -> Report:
    """The three phases as they were played on clips.

    Raises:
        ValueError: there is no object on any of them.
    """
    work = total(clip.timings for clip in clips)
    if not work:
        raise ValueError("no object is visible on a frame that has to be annotated")
    phases = {phase: _of(clips, phase) for phase in PHASES}
    rows = []
    for phase, played in phases.items():
        aligned = ["" for _ in ALIGNED_COLUMNS] if phase == 1 else [percent(one) for one in alignment(played).values()]
        rows.append((NAMES[phase], [*_work(work[phase]), percent(j_and_f(played)), *aligned]))
        rows.append((f"   paper, phase {phase}", [*PAPER[phase][:4], "", *PAPER[phase][4:]]))
    tables = [Table("phase", [*WORK_COLUMNS, "J&F", *ALIGNED_COLUMNS], rows)]
    columns = ["objects", "frames", *(f"s {phase}" for phase in PHASES), "edited 2", "3", "J&F 1", "2", "3"]
    by_clip = [(clip.name, _clip_cells([clip])) for clip in clips]
    tables.append(Table("clip", columns, [*by_clip, (ALL, _clip_cells(clips))]))
    quality = {phase: {"j_and_f": j_and_f(played), "alignment": alignment(played)} for phase, played in phases.items()}
    data = {
        "phases": {phase: {**one, **quality[int(phase)]} for phase, one in _data(work).items()},
        "clips": {clip.name: _data(clip.timings) for clip in clips},
        "objects": [asdict(one) for clip in clips for one in clip.objects],
    }
    return Report(settings, tables, [WORK_NOTE, NOTE, *notes], data, Curves({}, "", ""))


def j_and_f(objects: Iterable[PlayedObject]) -> float:
    """Mean over objects of their means over frames, 0 .. 1; NaN without objects."""
    return mean(mean((frame.j + frame.f) / 2 for frame in one.frames) for one in objects)


def alignment(objects: Iterable[PlayedObject]) -> dict[str, float]:
    """The share of masks that are aligned to phase 1: of all, and by the size of objects.

    Frames without the object don't count.
    """
    seen = [[frame for frame in one.frames if frame.area] for one in objects]
    sizes = [mean(frame.area for frame in frames) for frames in seen]

    def share(least: float, most: float) -> float:
        chosen = (frames for frames, size in zip(seen, sizes, strict=True) if least <= size < most)
        return mean(frame.alignment > ALIGNED_IOU for frames in chosen for frame in frames)

    return {ALL: share(0, math.inf), **{name: share(*bounds) for name, bounds in SIZES.items()}}


def _of(clips: Iterable[PlayedClip], phase: int) -> list[PlayedObject]:
    return [one for clip in clips for one in clip.objects if one.phase == phase]


def _work(done: Timings) -> list[str]:
    seconds, clicks = done.seconds_per_frame, done.clicks_per_clicked_frame
    shares = percent(done.edited_share), percent(done.drawn_share)
    return [_number(seconds, 1), *shares, _number(clicks, 2)]


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _clip_cells(clips: Sequence[PlayedClip]) -> list[str]:
    work = total(clip.timings for clip in clips)
    none = Timings()
    by_phase = [work.get(phase, none) for phase in PHASES]
    return [
        str(by_phase[0].objects),
        str(by_phase[0].frames),
        *(f"{one.seconds_per_frame:.1f}" for one in by_phase),
        *(percent(one.edited_share) for one in by_phase[1:]),
        *(percent(j_and_f(_of(clips, phase))) for phase in PHASES),
    ]


def _data(work: Mapping[int, Timings]) -> dict[str, dict[str, object]]:
    return {
        str(phase): {
            **vars(one),
            "seconds_per_frame": one.seconds_per_frame,
            "edited_share": one.edited_share,
            "drawn_share": one.drawn_share,
            "clicks_per_clicked_frame": one.clicks_per_clicked_frame,
        }
        for phase, one in work.items()
    }
