"""The MOSE layout: JPEGImages/<video>/00000.jpg and Annotations/<video>/00000.png, below `train` or `valid`.

https://github.com/henghuiding/MOSE-api. The layout of DAVIS without a folder for the resolution. In `valid`, only
the first frame is annotated. The frame rate is unknown: clips have 24 frames per second.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from sam2_ros.data import label_folders
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import Clips
from sam2_ros.data.images import image_files


def read(root: str | Path, video: str, mask_values: str | None = None) -> Clip:
    """Read one video; frames and masks are decoded lazily. Frames without a PNG are not annotated.

    Args:
        root, video: as in `clips`.
        mask_values: meaning of the values, if ambiguous; see `label_values`.

    Raises:
        ClipError: a file is missing or damaged.
    """
    files = image_files(Path(root) / "JPEGImages" / video)
    return label_folders.read(video, files, Path(root) / "Annotations" / video, 24.0, mask_values=mask_values)


def clips(root: str | Path, mask_values: str | None = None) -> Clips:
    """All videos below `root`, the folder that holds JPEGImages and Annotations; see `read`. Raises ClipError."""
    return Clips(label_folders.videos(Path(root) / "JPEGImages"), partial(read, root, mask_values=mask_values))


def write(clips: Iterable[Clip], root: str | Path, quality: int = 95) -> None:
    """Write JPEG frames and palette PNGs. Where objects overlap, the higher ID wins.

    Raises ValueError for an object ID above 254, which the format cannot hold, and OSError.
    """
    for clip in clips:
        images, annotations = (Path(root) / part / clip.name for part in ("JPEGImages", "Annotations"))
        label_folders.write(clip, images, annotations, quality)
