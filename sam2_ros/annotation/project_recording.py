"""The recording of an annotation project."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.data.clips import ClipError
from sam2_ros.recordings.bag_recording import BagRecording
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.recording import Recording

_STRETCH = re.compile(r"\[(\d+):(\d+)\]$")
"""At the end of the fingerprint of a part of a recording."""


def recording_of(project: Project, folders: Sequence[Path] = (), images: str | None = None) -> Recording:
    """Open the recording of a project, or the part of it that the project is of.

    Args:
        folders: where to look for it, under its own name, if it is no longer where it was.
        images: topic of a bag's images; None: the only one.

    Raises:
        ProjectError: it is gone, cannot be read, or has another content; the message names project and recording.
    """
    places = [project.recording_path, *(folder / project.recording_path.name for folder in folders)]
    path = next((place for place in places if place.exists()), None)
    if path is None:
        looked = f", nor in {', '.join(map(str, folders))}" if folders else ""
        raise ProjectError(
            f"the recording of {project.folder} is not there: {project.recording_path}{looked}; put it back, or give"
            " the folder that it is in now (--recordings)"
        )
    try:
        recording = open_recording(path, images)
        if recording.fps != project.fps and not isinstance(recording, BagRecording):  # another rate was given
            recording = open_recording(path, fps=project.fps)
        if part := _STRETCH.search(project.fingerprint):
            recording = recording.stretch(int(part[1]), int(part[2]))
    except (ClipError, ValueError) as error:
        raise ProjectError(f"the recording of {project.folder} cannot be opened: {error}") from error
    if recording.fingerprint() != project.fingerprint:
        raise ProjectError(
            f"{path} is not the recording that {project.folder} was made for, though it has its name: its content is"
            " another one; put that one back, or give the folder that it is in now (--recordings)"
        )
    return recording


def without_stretch(fingerprint: str) -> str:
    """The fingerprint of the whole recording, of that of a part."""
    return _STRETCH.sub("", fingerprint)
