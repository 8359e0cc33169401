"""sam2_ros annotate verify: what waits for somebody's verdict, and verdicts."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sam2_ros.annotation.annotated_object import OPEN, PROPOSED
from sam2_ros.annotation.film_strip import film_strip
from sam2_ros.annotation.project import NO_OBJECT, SATISFACTORY, UNSATISFACTORY, ChangedError, Project
from sam2_ros.annotation.project_recording import recording_of
from sam2_ros.annotation.verification import Unverified, queue
from sam2_ros.commands.annotation.listing import say_table
from sam2_ros.commands.annotation.pictures import write_picture
from sam2_ros.commands.annotation.running import annotator, command, say
from sam2_ros.recordings.recording import Recording

STRIPS = "strips"
"""Folder in a project with film strips."""

ANSWERS = {"s": SATISFACTORY, "u": UNSATISFACTORY, "n": NO_OBJECT}
"""Keys, and the verdicts that they stand for."""


def verify(options: argparse.Namespace, console: Console) -> None:
    """Store a verdict, or list and ask. Raises `commands.errors.ERRORS`."""
    by = annotator(options)
    with Project(options.project) as project:
        if options.verdict is not None:
            seen = project.last_action if options.seen is None else options.seen
            verdict = options.verdict.replace("-", " ")
            project.judge(by, options.object, verdict, options.reason, seen, own=options.own)
            _say_state(project, options.object, console)
            return
        waiting = queue(project, by)
        if not waiting:
            say(console, f"nothing waits for {by}'s verdict")
            if project.objects(PROPOSED, OPEN):
                why = (
                    "those that are left are not propagated to the whole recording, are sent back, or are your own work"
                )
                say(console, why, "dim")
            return
        recording = recording_of(project, place=options.recording)
        folder = options.strips or project.folder / STRIPS
        if sys.stdin.isatty() and sys.stdout.isatty():
            _ask(project, recording, waiting, folder, by, console)
        else:
            _list(project, recording, waiting, folder, options.next, console)


def _list(
    project: Project,
    recording: Recording,
    waiting: Sequence[Unverified],
    folder: Path,
    count: int,
    console: Console,
) -> None:
    """List masklets, the next ones with a film strip."""
    seen = project.last_action
    rows = []
    for place, one in enumerate(waiting):
        strip = _strip(project, recording, one, folder) if place < count else None
        visible = f"{one.extent.visible} of {one.extent.known}"
        known = one.object
        rating = f"{one.extent.iou:.2f}"
        rows.append((str(known.object_id), known.label, known.state, visible, rating, str(strip or "")))
    names = ("object", "label", "state", "visible on", "predicted IoU", "film strip")
    say_table(console, names, rows, left=("label", "state", "film strip"))
    first = waiting[0].object.object_id
    verdict = "(satisfactory | unsatisfactory | no-object)"
    say(console, f"next: {command('verify', project.folder, first, verdict, '--seen', seen)}", "dim")


def _ask(
    project: Project, recording: Recording, waiting: Sequence[Unverified], folder: Path, by: str, console: Console
) -> None:
    """Ask for verdicts one by one, and take the time."""
    say(console, f"{len(waiting)} wait for {by}'s verdict")
    for one in waiting:
        seen, known = project.last_action, one.object
        name = f"object {known.object_id} {known.label}".rstrip()
        say(console, f"{name}, {known.state}: {_strip(project, recording, one, folder)}", "bold")
        begin = time.monotonic()
        answer = _answer()
        if answer == "q":
            return
        if answer not in ANSWERS:
            continue
        reason = "" if answer == "s" else input("why? (may be empty) ").strip()
        try:
            project.judge(by, known.object_id, ANSWERS[answer], reason, seen, time.monotonic() - begin)
        except ChangedError as error:
            say(console, str(error), "yellow")
            continue
        _say_state(project, known.object_id, console)


def _answer() -> str:
    """A key of `ANSWERS`, "" for later, or "q"."""
    while True:
        try:
            typed = input("[s]atisfactory, [u]nsatisfactory, [n]o object, Enter: later, [q]uit? ").strip().lower()
        except EOFError:
            return "q"
        if typed[:1] in ("", "q", *ANSWERS):
            return typed[:1]


def _strip(project: Project, recording: Recording, one: Unverified, folder: Path) -> Path:
    """Write a film strip, and return its file."""
    file = folder / f"{one.object.object_id}.png"
    write_picture(file, film_strip(project, recording, one.object.object_id))
    return file


def _say_state(project: Project, object_id: int, console: Console) -> None:
    known = project.object(object_id)
    reason = f" ({known.reason})" if known.reason else ""
    say(console, f"object {object_id}: {known.state}{reason}")
