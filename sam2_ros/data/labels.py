"""Label images: one PNG holds the masks of all objects, each pixel the ID of the object that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from sam2_ros.data.clips import ClipError
from sam2_ros.data.images import opened

PALETTE = np.zeros((256, 3), np.uint8)  # of Pascal VOC, taken over by DAVIS and those after it: the ID's bits, spread
for _bit in range(8):
    for _channel in range(3):
        PALETTE[:, _channel] |= ((np.arange(256) >> (3 * _bit + _channel) & 1) << (7 - _bit)).astype(np.uint8)

MAX_ID = 254  # 255 means "void" in DAVIS


def read_labels(file: Path, size: tuple[int, int], frame: int | None = None) -> np.ndarray:
    """The labels in an image with a palette, grey or black and white: uint8 [H, W].

    Args:
        size: height and width that they must have, those of the video's frames.

    Raises:
        ClipError: the file is damaged, of another size, or holds something else.
    """
    with opened(file, frame) as image:
        labels = np.array(image)
        colours = len(image.getpalette() or ()) // 3 if image.mode == "P" else 256
    if labels.ndim == 3 and (labels[..., :3] == labels[..., :1]).all():  # grey saved as RGB: some files of DAVIS 2016
        labels = labels[..., 0]
    if labels.dtype == bool:
        labels = labels * np.uint8(255)
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise ClipError(file, f"holds {labels.dtype} {labels.shape}, not labels of 8 bits (palette or grey)", frame)
    if labels.shape != size:
        raise ClipError(file, f"is {_by(labels.shape)} pixels, the video's frames are {_by(size)}", frame)
    if labels.size and labels.max() >= colours:
        raise ClipError(file, f"has label {labels.max()}, but its palette only {colours} colours", frame)
    return labels


def write_labels(file: Path, object_ids: Sequence[int], masks: np.ndarray) -> None:
    """Writes masks, bool [N, H, W], as a palette PNG. Where objects overlap, the higher ID wins.

    Raises:
        ValueError: an ID above 254 does not fit.
        OSError: the file can't be written.
    """
    if max(object_ids, default=0) > MAX_ID:
        raise ValueError(
            f"{file}: object ID {max(object_ids)} does not fit into a label image; the highest is {MAX_ID}"
        )
    labels = np.zeros(masks.shape[1:], np.uint8)
    for object_id, mask in zip(object_ids, masks, strict=True):
        labels[mask] = object_id
    image = Image.fromarray(labels).convert("P")
    image.putpalette(PALETTE.tobytes())
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)


def _by(size: tuple[int, ...]) -> str:
    return f"{size[1]} x {size[0]}"
