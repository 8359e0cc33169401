"""Opening what a user names: a bag, a video, or a folder of images."""

from __future__ import annotations

from pathlib import Path

from sam2_ros.data.bag import SUFFIXES
from sam2_ros.data.clips import ClipError
from sam2_ros.recordings.bag_recording import BagRecording
from sam2_ros.recordings.folder_recording import FolderRecording
from sam2_ros.recordings.recording import Recording
from sam2_ros.recordings.video_recording import VideoRecording


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
    is_bag = _is_bag(path)
    if is_bag and fps is not None:
        raise ValueError(f"{path} is a bag, whose images have stamps; --fps is for videos and folders of images")
    if not is_bag and images is not None:
        raise ValueError(f"{path} is no bag; --images names a topic of a bag")
    if is_bag:
        return BagRecording(path, images)
    return FolderRecording(path, fps) if path.is_dir() else VideoRecording(path, fps)


def _is_bag(path: Path) -> bool:
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or any(file.suffix in SUFFIXES for file in path.iterdir())
    return path.suffix in SUFFIXES
