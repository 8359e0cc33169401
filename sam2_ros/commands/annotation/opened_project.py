"""The project that a user means: its folder, or the recording that it is of."""

from __future__ import annotations

import argparse
from pathlib import Path

from sam2_ros.annotation.project import FILE, Project
from sam2_ros.annotation.project_recording import recording_of
from sam2_ros.commands.annotation.new_project import created, project_beside
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.recording import Recording


def opened_project(options: argparse.Namespace) -> tuple[Path, Recording]:
    """The project's folder and its recording. A project that is not there yet is made.

    Args:
        options: `recording`: it, or a project; `project`: its folder, or None; `images`, `fps`, `annotated_fps`: as for
            a new project.

    Raises:
        ProjectError, ClipError, OSError, ValueError: the message says what to do.
    """
    given = Path(options.recording)
    if (given / FILE).is_file():  # a project
        if options.project is not None:
            raise ValueError(f"{given} is an annotation project itself; leave --project out")
        with Project(given) as project:
            return given, recording_of(project, images=options.images)
    folder = options.project or project_beside(given)
    if folder.resolve() == given.resolve():
        raise ValueError(f"{folder} is the recording itself; give another folder for the project: --project FOLDER")
    if (folder / FILE).is_file():
        with Project(folder) as project:
            return folder, recording_of(project, images=options.images, place=given)
    recording = open_recording(given, options.images, options.fps)
    created(folder, recording, options.annotated_fps, "--project FOLDER").close()
    return folder, recording
