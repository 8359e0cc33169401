"""What is learnt from, and what is held out to judge by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.annotation.verified_clip import VerifiedClip, verified_clip
from sam2_ros.data.clip import Clip
from sam2_ros.recordings.recording import Recording, split_fingerprint

SHARE = 0.2
"""Of the recordings that is held out."""

BY_RECORDING, BY_STRETCH, NOTHING = "recordings", "the end of the only recording", "nothing"
"""What is held out. The end of a recording shows the things that were learnt from its beginning: its score flatters.
Where nothing is held out, the score is on what was learnt, and says nothing about other recordings."""


@dataclass(frozen=True)
class Split:
    """Clips to learn from and to judge by."""

    training: Sequence[Clip]
    held_out: Sequence[Clip]
    by: str
    """`BY_RECORDING`, `BY_STRETCH` or `NOTHING`."""
    notes: Sequence[str]
    """What the user should know: a sentence each."""


def split(projects: Sequence[tuple[Project, Recording]], share: float = SHARE) -> Split:
    """Divide projects by recording: all projects of one recording are on one side.

    The side depends on the recording's content alone, so that what is held out today is held out tomorrow, when there
    are more projects; but of several recordings at least one is on each side, and no more are held out than half as
    many again as the share says.

    Args:
        share: of recordings that are held out, 0 .. 1 without the ends.

    Raises:
        ProjectError: there is nothing to learn from; or the share is out of range.
    """
    if not 0 < share < 1:
        raise ProjectError(f"a share of {share:g} cannot be held out; give a number between 0 and 1, such as {SHARE}")
    notes, clips, recordings = [], [], []
    for project, recording in projects:
        try:
            clip = verified_clip(project, recording)
        except ProjectError as error:
            notes.append(f"Left out: {error}.")
            continue
        clips.append(clip)
        recordings.append((project, recording, split_fingerprint(project.fingerprint)[0]))
    if not clips:
        raise ProjectError(notes[0].removeprefix("Left out: ").removesuffix(".") if notes else "there are no projects")
    clips = _named(clips, [project for project, _, _ in recordings])
    learnable = [one.longest > 1 for one in clips]
    if not any(learnable):
        where = ", ".join(one.clip.name for one in clips)
        raise ProjectError(
            f"no verified masklet in {where} has masks on two frames or more; there is nothing to learn about tracking:"
            " propagate them, or annotate more frames"
        )
    places: dict[str, list[int]] = {}
    for place, (_, _, content) in enumerate(recordings):
        places.setdefault(content, []).append(place)
    if len(places) == 1:
        return _one_recording([entry[:2] for entry in recordings], clips, share, notes)
    chosen = _chosen(places, clips, learnable, share)
    if not chosen:
        notes.append(
            "No recording can be held out: of each of them less than three frames are annotated, or it is the only one"
            " to learn from. The scores are on what was learnt."
        )
        everything = [one.clip for one, able in zip(clips, learnable, strict=True) if able]
        return Split(everything, everything, NOTHING, notes)
    training = [one.clip for place, one in enumerate(clips) if learnable[place] and place not in chosen]
    held_out = [one.clip for place, one in enumerate(clips) if one.scorable and place in chosen]
    return Split(training, held_out, BY_RECORDING, notes)


def _one_recording(
    projects: Sequence[tuple[Project, Recording]], clips: Sequence[VerifiedClip], share: float, notes: list[str]
) -> Split:
    """Hold out the end of the only recording, or nothing if there is too little of it."""
    span = projects[0][1].span
    end = span.stop - max(1, round(share * len(span)))
    training: list[Clip] = []
    held_out: list[Clip] = []
    for (project, recording), whole in zip(projects, clips, strict=True):
        for part in (range(span.start, end), range(end, span.stop)):
            try:
                one = verified_clip(project, recording, part)
            except ProjectError:  # it has no masks there
                continue
            clip = replace(one.clip, name=whole.clip.name)
            if part.stop == end and one.longest > 1:
                training.append(clip)
            elif part.stop > end and one.scorable:
                held_out.append(clip)
    if training and held_out:
        notes.append(
            f"There is one recording: its end, from frame {end} on, was held out. It shows what was learnt from its"
            " beginning, so the scores flatter; annotate a second recording to know what it is worth."
        )
        return Split(training, held_out, BY_STRETCH, notes)
    notes.append(
        "There is one recording, and too little of it to hold a part out: the scores are on what was learnt, and say"
        " nothing about others. Annotate a second recording to know what it is worth."
    )
    everything = [one.clip for one in clips if one.longest > 1]
    return Split(everything, everything, NOTHING, notes)


def _chosen(
    places: Mapping[str, Sequence[int]], clips: Sequence[VerifiedClip], learnable: Sequence[bool], share: float
) -> set[int]:
    """The clips that are held out; empty: none can be, without leaving nothing to learn from."""

    def draw(content: str) -> float:
        return int(hashlib.sha256(content.encode()).hexdigest()[:13], 16) / 16**13

    ordered = sorted(places, key=draw)
    able = [content for content in ordered if any(clips[place].scorable for place in places[content])]
    most = max(1, round(1.5 * share * len(places)))  # chance may draw half of a few
    drawn = [content for content in able if draw(content) < share][:most] or able[:1]

    def teaches(content: str) -> bool:
        return any(learnable[place] for place in places[content])

    while drawn and not any(teaches(content) for content in ordered if content not in drawn):
        drawn.pop()  # the one that is the last to be held out
    return {place for content in drawn for place in places[content]}


def _named(clips: Sequence[VerifiedClip], projects: Sequence[Project]) -> list[VerifiedClip]:
    """The clips, each under a name of its own: that of the project's folder, or its path."""
    names = [one.clip.name for one in clips]
    return [
        replace(one, clip=replace(one.clip, name=str(project.folder))) if names.count(one.clip.name) > 1 else one
        for one, project in zip(clips, projects, strict=True)
    ]
