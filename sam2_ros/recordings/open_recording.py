"""Opening what a user names: a bag, a video, or a folder of images."""

from __future__ import annotations

import os
from pathlib import Path

from sam2_ros.data.bag import SUFFIXES
from sam2_ros.data.clips import ClipError
from sam2_ros.data.images import SUFFIXES as IMAGE_SUFFIXES
from sam2_ros.data.natural_order import natural
from sam2_ros.recordings.bag_recording import BagRecording
from sam2_ros.recordings.folder_recording import FolderRecording
from sam2_ros.recordings.recording import Recording
from sam2_ros.recordings.video_recording import VideoRecording

VIDEOS = {".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".ts"}
"""Suffixes of videos to suggest. What is given is opened whatever its suffix."""

MAX_SEARCHED = 1000
"""Folders in which something to suggest is searched."""


def open_recording(path: str | Path, images: str | None = None, fps: float | None = None) -> Recording:
    """Open a bag (its folder, or a file .mcap or .db3), a video file, or a folder of images.

    Args:
        path: the file or folder.
        images: topic of a bag's images; None: the only one.
        fps: images per second of a folder (None: 24) or a video (None: its own).

    Raises:
        ClipError: it can't be read; the message says what to do.
        ValueError: an argument does not fit.
        ImportError: it is a video, and PyAV is missing.
    """
    path = Path(path)
    if fps is not None and not 0 < fps < 1e6:
        raise ValueError(f"the number of images per second must be positive, not {fps:g}")
    if not path.exists():
        raise ClipError(path, "there is no such file or folder")
    bag = _bag(path)
    if bag is not None:
        if fps is not None:
            raise ValueError(f"{path} is a bag, whose images have stamps; --fps is for videos and folders of images")
        return BagRecording(bag, images)
    if images is not None:
        raise ValueError(f"{path} is no bag; --images names a topic of a bag")
    if path.is_file():
        return VideoRecording(path, fps)
    try:
        return FolderRecording(path, fps)
    except ClipError as error:
        raise ClipError(path, f"{error.problem}{_others(path)}") from error


def _bag(path: Path) -> Path | None:
    """The bag at a path: a folder, or a file; None: there is something else. Raises ClipError."""
    if path.is_file():
        if path.suffix == ".bag":
            target = path.with_suffix("")
            raise ClipError(path, f"is a bag of ROS 1; `rosbags-convert --src {path} --dst {target}` converts it")
        if path.suffix == ".zstd" or path.name == "metadata.yaml":
            raise ClipError(path, f"is a file of a bag; give its folder, {path.absolute().parent}")
        return path if path.suffix in SUFFIXES else None
    if (path / "metadata.yaml").is_file():
        return path
    files = sorted((file for file in path.iterdir() if file.suffix in SUFFIXES), key=natural)
    if len(files) > 1:
        command = "sam2_ros recover" if files[0].suffix == ".mcap" else "ros2 bag reindex"
        problem = f"has no metadata.yaml; if its recording was interrupted, `{command} {path}` completes it"
        raise ClipError(path, f"{problem}; if its {len(files)} files are bags of their own, give one of them")
    return files[0] if files else None


def _others(folder: Path) -> str:
    """What a folder without images holds instead, as the end of a sentence."""
    bags: list[str] = []
    videos: list[str] = []
    pictures: list[str] = []
    for place, (name, folders, files) in enumerate(os.walk(folder)):
        folders.sort(key=natural)
        here, suffixes = Path(name), {Path(file).suffix.lower() for file in files}
        if here != folder and ("metadata.yaml" in files or suffixes & set(SUFFIXES)):
            bags.append(str(here))
        elif here != folder and suffixes & IMAGE_SUFFIXES:
            pictures.append(str(here))
        videos += [str(here / file) for file in sorted(files, key=natural) if Path(file).suffix.lower() in VIDEOS]
        if place == MAX_SEARCHED or max(map(len, (bags, videos, pictures))) > 3:
            break
    for found, kind in ((bags, "bags"), (videos, "videos"), (pictures, "folders of images")):
        if found:
            return f", but {kind}: {', '.join(found[:3])}{' ...' if len(found) > 3 else ''}; give one of them"
    return ""
