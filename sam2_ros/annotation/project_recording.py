"""The recording of an annotation project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.data.clips import ClipError
from sam2_ros.recordings.bag_recording import BagRecording
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.recording import Recording, split_fingerprint

_REMEDY = "put it back, or say where it is: `sam2_ros annotate show PROJECT --recording PATH`, or --recordings"


def recording_of(
    project: Project, folders: Sequence[Path] = (), images: str | None = None, place: Path | None = None
) -> Recording:
    """Open the recording of a project, or the part of it that the project is of.

    It is looked for where it was, in the folders, and beside the project, which may have been moved together with it.
    The first whose content is the project's is taken.

    Args:
        folders: where to look for it, under its own name, if it is no longer where it was.
        images: topic of a bag's images; None: that of which the project was made.
        place: where it is now, which the project remembers; None: not known.

    Raises:
        ProjectError: it is gone, cannot be read, or has another content; the message names project and recording.
    """
    name = project.recording_path.name
    beside = project.folder.absolute().parent
    places = [place] if place else [project.recording_path, *(folder / name for folder in (*folders, beside))]
    first: ProjectError | None = None
    there = list(dict.fromkeys(one for one in places if one.exists()))
    if not there:
        others = ", ".join(map(str, folders))
        looked = f", nor in {others}" if others else ""
        raise ProjectError(
            f"the recording of {project.folder} is not there: {place or project.recording_path}{looked}; {_REMEDY}"
        )
    for path in there:  # another one may have taken its place where it was
        try:
            recording = _opened(project, path, images)
            break
        except ProjectError as error:
            first = first or error
    else:
        assert first is not None
        raise first
    if place is not None and path.absolute() != project.recording_path:
        project.relocate(recording)
    return recording


def _opened(project: Project, path: Path, images: str | None) -> Recording:
    """The recording at this path. Raises ProjectError: it is not that of the project, or cannot be read."""
    try:
        recording = open_recording(path, images or project.images_topic)
        if recording.fps != project.fps and not isinstance(recording, BagRecording):  # another rate was given
            recording = open_recording(path, fps=project.fps)
        recording = part_of(project, recording)
    except (ClipError, ValueError) as error:
        raise ProjectError(f"the recording of {project.folder} cannot be opened: {error}") from error
    if recording.fingerprint() != project.fingerprint:
        raise ProjectError(
            f"{path} is not the recording that {project.folder} was made for: its content is another one; {_REMEDY}"
        )
    return recording


def pixels_of(recording: Recording, frame: int) -> np.ndarray:
    """An image to annotate, uint8 [H, W, 3] RGB. Raises ProjectError: there is none, or it is damaged."""
    span = recording.span
    if frame not in span:
        raise ProjectError(f"there is no frame {frame}; the project has the frames {span[0]} to {span[-1]}")
    for image in recording.images(frame, frame + 1):
        return image.pixels
    reason = recording.damaged.get(frame, "it cannot be decoded")
    raise ProjectError(f"the image of frame {frame} is damaged ({reason}); choose another one")


def part_of(project: Project, recording: Recording) -> Recording:
    """The part of a whole recording that a project is of. Raises ValueError: it has no such images."""
    _, stretch = split_fingerprint(project.fingerprint)
    return recording if stretch is None else recording.stretch(stretch.start, stretch.stop)
