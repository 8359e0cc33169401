"""sam2_ros annotate new: the project of a recording, and proposals."""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from sam2_ros.annotation.project import FILE, Project
from sam2_ros.annotation.project_recording import part_of
from sam2_ros.annotation.proposals import propose
from sam2_ros.commands.annotation.running import command, say, say_damaged
from sam2_ros.commands.loaded_model import loaded_model
from sam2_ros.commands.progress import Progress
from sam2_ros.commands.stretch import stretch
from sam2_ros.recordings.bag_recording import BagRecording
from sam2_ros.recordings.everything import AutomaticMaskletSettings
from sam2_ros.recordings.masklet_store import MaskletStore, OtherRunError
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.recording import Recording, split_fingerprint
from sam2_ros.recordings.run import run
from sam2_ros.recordings.run_store import STORE, Search, open_store, weights_digest

PROPOSALS = "proposals"
"""Folder in a project with the masklets of `--propose`."""


def new(options: argparse.Namespace, console: Console) -> None:
    """Make a project, or open the one that is there, and add proposals. Raises `commands.errors.ERRORS`."""
    folder = options.project or project_beside(options.recording)
    if folder.resolve() == options.recording.resolve():
        raise ValueError(f"{folder} is the recording itself; give another folder for the project")
    there = (folder / FILE).exists()
    recording = _opened_again(options, folder) if there else _opened(options)
    for notice in recording.notices:
        say(console, f"note: {notice}", "yellow")
    with created(folder, recording, options.annotated_fps) as project:
        annotated = f"{len(project.annotated_frames)} of {len(project.span)} frames"
        said = "is there already" if there else f"made; phase 1 annotates {annotated}"
        say(console, f"{folder}: {said}")
        if options.propose:
            _search(options, project, recording, console)
        elif options.tracked is not None:
            file = options.tracked / STORE if options.tracked.is_dir() else options.tracked
            with MaskletStore(file, None) as store:
                _take_in(options, project, store, console)
        else:
            pointed = f"--at {project.span[0]} --click X,Y --label NAME"
            say(console, f"next: {command('prompt', folder, pointed)}", "dim")


def project_beside(recording: Path) -> Path:
    """The folder of a recording's project, unless another one is given."""
    path = Path(os.path.abspath(recording)) if not recording.name or recording.name == ".." else recording
    return path.with_name(f"{path.name}.annotation")


def _opened(options: argparse.Namespace) -> Recording:
    recording = open_recording(options.recording, options.images, options.fps)
    return stretch(recording, options.begin, options.end)


def _opened_again(options: argparse.Namespace, folder: Path) -> Recording:
    """The recording of a project that is there, with topic, rate and part as they were given when it was made."""
    with Project(folder) as project:
        options.images = options.images or project.images_topic
        recording = _opened(options)
        if options.fps is None and recording.fps != project.fps and not isinstance(recording, BagRecording):
            options.fps = project.fps
            recording = _opened(options)
        if options.begin is options.end is None and len(recording) == project.frame_count:
            recording = part_of(project, recording)
        if recording.content() == split_fingerprint(project.fingerprint)[0] and recording.span != project.span:
            first, last = project.span[0], project.span[-1]
            raise ValueError(f"{folder} is of the frames {first} to {last}; for others, make another project")
    return recording


def created(folder: Path, recording: Recording, annotated_fps: float, remedy: str = "new RECORDING PROJECT") -> Project:
    """The project of a recording, made if it is not there. Raises ProjectError, OSError or ValueError.

    Args:
        remedy: how another folder is given.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror if folder.is_dir() or not folder.exists() else "it is no folder"
        raise ValueError(f"{folder}: {reason}; give another folder: {remedy}") from error
    return Project.create(folder, recording, annotated_fps)


def _search(options: argparse.Namespace, project: Project, recording: Recording, console: Console) -> None:
    """Find everything, and propose it."""
    settings = AutomaticMaskletSettings(
        period=options.period, coverage=options.coverage, max_masklets=options.max_masklets
    )
    model = loaded_model(options)
    what, weights = Search(settings, options.max_objects), weights_digest(model, options.checkpoint)
    folder = project.folder / PROPOSALS
    with ExitStack() as stack:
        try:
            store = stack.enter_context(open_store(folder, recording, what, model, weights, options.restart))
        except ValueError as error:
            if not isinstance(error.__cause__, OtherRunError):
                raise
            raise ValueError(f"{error.__cause__}; --restart forgets it; what was proposed stays") from error
        with Progress(console) as progress:
            run(recording, what, model, store, progress.on_pass)
        say_damaged(console, recording)
        _take_in(options, project, store, console)


def _take_in(options: argparse.Namespace, project: Project, store: MaskletStore, console: Console) -> None:
    """Propose what is in a store."""
    with Progress(console, "masklets") as progress:
        proposed = propose(
            project, store, options.rejected, on_progress=lambda done, total: progress.on_output(done, total, PROPOSALS)
        )
    if not proposed:
        say(console, "no new proposals: all of these masklets are in the project")
        return
    say(console, f"proposals: {len(proposed)} (objects {proposed[0]} to {proposed[-1]})")
    say(console, f"next: {command('verify', project.folder)}", "dim")
