"""sam2_ros annotate show: what is in a project."""

from __future__ import annotations

import argparse
import math
import time

from rich.console import Console

from sam2_ros.annotation.annotated_mask import AUTOMATIC, BY_HAND, PROPAGATED
from sam2_ros.annotation.film_strip import film_strip
from sam2_ros.annotation.least_sure import places
from sam2_ros.annotation.project import Project
from sam2_ros.annotation.project_recording import recording_of
from sam2_ros.annotation.timings import Timings, timings
from sam2_ros.commands.annotation.listing import say_table
from sam2_ros.commands.annotation.pictures import (
    counted,
    frame_picture,
    objects_by_state,
    sheet_picture,
    write_picture,
)
from sam2_ros.commands.annotation.running import frame_at, say

NAMED = 4
"""How many places are named that the model is least sure of."""

ROWS = 40
"""Maximum number of objects that are listed."""


def show(options: argparse.Namespace, console: Console) -> None:
    """Print a project's tables, or write its pictures. Raises `commands.errors.ERRORS`."""
    pictures = bool(options.sheet or options.strip or options.frame)
    with Project(options.project) as project:
        if pictures or options.recording is not None:
            recording = recording_of(project, place=options.recording)
            if options.sheet is not None:
                write_picture(options.sheet, sheet_picture(project, recording))
                say(console, str(options.sheet))
            for object_id, file in options.strip:
                write_picture(file, film_strip(project, recording, object_id))
                say(console, str(file))
            for moment, file in options.frame:
                frame = frame_at(moment, recording, "--frame")
                write_picture(file, frame_picture(project, recording, frame))
                say(console, str(file))
        if not pictures:
            _say_all(options, project, console)


def _say_all(options: argparse.Namespace, project: Project, console: Console) -> None:
    whole = len(project.span) == project.frame_count
    part = "" if whole else f"frames {project.span[0]} to {project.span[-1]} of "
    frames = f"{part}{project.frame_count} frames at {project.fps:.3g} a second"
    say(console, f"{project.recording_path}: {frames}, {len(project.annotated_frames)} of them in phase 1", "bold")
    say(console, counted(objects_by_state(project)))
    if project.objects():
        _say_objects(project, options.state, None if options.all else ROWS, console)
    if work := timings(project):
        _say_work(work, console)
    if worst := places(project, count=NAMED):
        named = (f"object {place.object_id} on frame {place.frame} (IoU {place.iou:.2f})" for place in worst)
        say(console, f"least sure: {', '.join(named)}", "dim")
    if last := list(project.actions(project.last_action - 1)):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(last[0].time))
        say(console, f"last action: {last[0].action_id}, {last[0].kind} by {last[0].annotator}, {when}", "dim")


def _say_objects(project: Project, state: str | None, count: int | None, console: Console) -> None:
    """State, masks by origin, predicted IoU, authors and time of each object."""
    names = (
        "object",
        "label",
        "state",
        "visible on",
        "by hand",
        "propagated",
        "automatic",
        "predicted IoU",
        "who",
        "seconds",
    )
    rows = list[tuple[str, ...]]()
    extents, origins, seconds = project.extents(), project.origins(), dict[int, float]()
    for action in project.actions():
        if action.object_id is not None:
            seconds[action.object_id] = seconds.get(action.object_id, 0.0) + action.seconds
    objects = project.objects(state) if state else project.objects()
    for one in objects[:count]:
        extent, counts = extents.get(one.object_id), origins.get(one.object_id, {})
        hand = sum(counts.get(origin, 0) for origin in BY_HAND)
        numbers = (hand, counts.get(PROPAGATED, 0), counts.get(AUTOMATIC, 0))
        told = (
            str(one.object_id),
            one.label,
            f"{one.state} ({one.reason})" if one.reason else one.state,
            "" if extent is None else f"{extent.visible} of {extent.known}",
            *(str(number) if number else "" for number in numbers),
            f"{extent.iou:.2f}" if extent is not None and extent.visible else "",
            ", ".join(sorted(project.authors_of(one.object_id))),
            f"{seconds.get(one.object_id, 0.0):.1f}" if seconds.get(one.object_id) else "",
        )
        rows.append(told)
    say_table(console, names, rows, left=("label", "state", "who"))
    if count is not None and len(objects) > count:
        say(console, f"and {len(objects) - count} more (--all)")


def _say_work(work: dict[int, Timings], console: Console) -> None:
    """What people did in each phase."""
    names = ("phase", "objects", "frames", "edited", "clicks a frame", "drawn", "seconds a frame", "seconds")
    rows = list[tuple[str, ...]]()
    for phase, one in work.items():
        numbers = one.clicks_per_clicked_frame, one.seconds_per_frame
        clicks, seconds = ("" if math.isnan(number) or not number else f"{number:.2f}" for number in numbers)
        share = "" if math.isnan(one.edited_share) else f" ({100 * one.edited_share:.0f} %)"
        told = (
            str(phase),
            str(one.objects),
            str(one.frames),
            f"{one.edited}{share}",
            clicks,
            str(one.drawn),
            seconds,
            f"{one.seconds:.1f}" if one.seconds else "",
        )
        rows.append(told)
    say_table(console, names, rows)
