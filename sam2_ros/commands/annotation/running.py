"""Running an action, and what actions share: the project with its recording, and who annotates."""

from __future__ import annotations

import argparse
import getpass
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from rich.console import Console

from sam2_ros.annotation.project import Project
from sam2_ros.annotation.project_recording import recording_of
from sam2_ros.commands.errors import ERRORS
from sam2_ros.data.timed_prompt import Moment
from sam2_ros.recordings.recording import Recording
from sam2_ros.system.error_text import one_line

RESUMED = ("new", "export")
"""Actions that go on where they were stopped."""


def run(action: str, module: str, options: argparse.Namespace) -> int:
    """Do an action.

    Args:
        module: in this folder, with a function of the action's name.

    Returns:
        The exit status: 0; 2 after an error; 130 if it was interrupted.
    """
    console = Console(highlight=False, markup=False, emoji=False)  # labels and names are shown as they are
    try:
        getattr(import_module(f"sam2_ros.commands.annotation.{module}"), action)(options, console)
    except KeyboardInterrupt:
        said = (
            "the same command goes on where it was"
            if action in RESUMED
            else "earlier actions are kept, this one is not"
        )
        print(f"annotate {action}: interrupted; {said}", file=sys.stderr)
        return 130
    except ERRORS as error:
        print(f"annotate {action}: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[tuple[Project, Recording]]:
    """The project that the options name, with its recording. Raises ProjectError or OSError."""
    with Project(options.project) as project:
        yield project, recording_of(project, place=options.recording)


def annotator(options: argparse.Namespace) -> str:
    """Who does it. Raises ValueError if nobody is logged in."""
    if options.by is not None:
        return str(options.by)
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise ValueError("your login name is unknown; say who you are with --by NAME") from error


def frame_at(moment: Moment, recording: Recording, option: str = "--at") -> int:
    """The frame that a user means. Raises ValueError, which names the option."""
    try:
        return moment.index(recording.stamps)
    except ValueError as error:
        raise ValueError(f"{option} {moment}: {error}") from error


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a line, whatever its letters, without wrapping it."""
    console.print(text, style=style, markup=False, soft_wrap=True)


def say_damaged(console: Console, recording: Recording) -> None:
    """Say which images could not be decoded, if any."""
    if recording.damaged:
        first, reason = next(iter(recording.damaged.items()))
        note = f"damaged images, skipped: {len(recording.damaged)}, such as {first} ({reason})"
        say(console, f"note: {note}", "yellow")


def seconds_at(recording: Recording, frame: int) -> str:
    return f"{(recording.stamps[frame] - recording.stamps[0]) / 1e9:.2f} s"


def command(action: str, folder: Path, *rest: object) -> str:
    """An action as it is typed, to be suggested."""
    return " ".join(["sam2_ros annotate", action, shlex.quote(str(folder)), *map(str, rest)])
