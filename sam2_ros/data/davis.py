"""The DAVIS layout, 2016 and 2017: JPEGImages/480p/<sequence>/00000.jpg, Annotations/480p/<sequence>/00000.png.

https://davischallenge.org; 24 frames per second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from sam2_ros.data import label_folders
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import Clips, read_list
from sam2_ros.data.images import image_files

_PAIR = re.compile(r"/?JPEGImages/[^/]+/([^/]+)/\S+\s+\S+")
"""A line of the lists of 2016, with the image and the mask of a frame."""


def sequences(root: str | Path, resolution: str = "480p", split: str | None = None) -> list[str]:
    """Names of the sequences.

    Args:
        root: the folder that holds JPEGImages and Annotations.
        resolution: subfolder of both: 480p, 1080p or Full-Resolution.
        split: a list in ImageSets, such as "2017/val" or "480p/val" (2016); None: all sequences, in natural order.

    Raises:
        ClipError: this is no DAVIS layout, or the list is missing.
    """
    if split is None:
        return label_folders.videos(Path(root) / "JPEGImages" / resolution)
    lines = read_list(Path(root) / "ImageSets" / f"{split.removesuffix('.txt')}.txt")
    return list(dict.fromkeys(pair[1] if (pair := _PAIR.fullmatch(line)) else line for line in lines))


def read(root: str | Path, sequence: str, resolution: str = "480p", mask_values: str | None = None) -> Clip:
    """Read one sequence; frames and masks are decoded lazily. Raises ClipError.

    Annotations are label images (palette, grey of 8 or 16 bits, or colours): each value is an object's ID, and 255
    alone (DAVIS 2016) is object 1. In 2017 files, 255 beside other values is "void" and belongs to no object. Frames
    without a PNG are not annotated.

    Args:
        root, sequence, resolution: as in `sequences`.
        mask_values: meaning of the values, if ambiguous; see `label_values`.
    """
    images, annotations = (Path(root) / part / resolution / sequence for part in ("JPEGImages", "Annotations"))
    files = image_files(images)
    return label_folders.read(sequence, files, annotations, 24.0, mask_values=mask_values)


def clips(
    root: str | Path, resolution: str = "480p", split: str | None = None, mask_values: str | None = None
) -> Clips:
    """The clips of `sequences`; see `read`. Raises ClipError."""
    names = sequences(root, resolution, split)
    return Clips(names, partial(read, root, resolution=resolution, mask_values=mask_values))


def write(clips: Iterable[Clip], root: str | Path, resolution: str = "480p", quality: int = 95) -> None:
    """Write clips in DAVIS 2017 layout: JPEG frames and palette PNGs. Where objects overlap, the higher ID wins.

    Raises ValueError for an object ID above 254, which the format cannot hold, and OSError.
    """
    for clip in clips:
        images, annotations = (Path(root) / part / resolution / clip.name for part in ("JPEGImages", "Annotations"))
        label_folders.write(clip, images, annotations, quality)
