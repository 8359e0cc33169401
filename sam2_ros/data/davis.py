"""The DAVIS layout, 2016 and 2017: JPEGImages/480p/<sequence>/*.jpg and Annotations/480p/<sequence>/*.png."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from sam2_ros.data.clip import Clip
from sam2_ros.data.video import ImageFiles

PALETTE = np.zeros((256, 3), np.uint8)  # the colours of Pascal VOC, which DAVIS 2017 uses: bits of the ID, spread
for _bit in range(8):
    for _channel in range(3):
        PALETTE[:, _channel] |= ((np.arange(256) >> (3 * _bit + _channel) & 1) << (7 - _bit)).astype(np.uint8)


def sequences(root: str | Path, resolution: str = "480p") -> list[str]:
    """Names of the sequences below `root`, sorted. Raises FileNotFoundError where there is no DAVIS layout."""
    folder = Path(root) / "JPEGImages" / resolution
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is missing: no DAVIS layout (JPEGImages/{resolution}/<sequence>) in {root}")
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def read(root: str | Path, sequence: str, resolution: str = "480p") -> Clip:
    """One sequence. Frames decode when they are asked for, masks at once.

    Annotations are label images (palette or grey): each value is an object's ID, and 255 alone (DAVIS 2016) is
    object 1. In 2017 files, 255 beside other values is "void" and belongs to no object. Frames without a PNG are not
    annotated. Raises FileNotFoundError or ValueError naming file and frame.
    """
    images = Path(root) / "JPEGImages" / resolution / sequence
    annotations = Path(root) / "Annotations" / resolution / sequence
    files = sorted(images.glob("*.jpg"))
    if not files:
        raise FileNotFoundError(f"no JPEG frames in {images}")
    known = {path.stem: path for path in sorted(annotations.glob("*.png"))}
    strangers = sorted(known.keys() - {path.stem for path in files})
    if strangers:
        raise ValueError(f"{known[strangers[0]]}: there is no frame {strangers[0]}.jpg in {images}")
    if not known:
        raise FileNotFoundError(f"no annotations in {annotations}")

    first = cv2.imread(str(files[0]))
    if first is None:
        raise ValueError(f"{files[0]}: frame 0 cannot be decoded as a JPEG")
    size = first.shape[:2]
    labels = [_label(known[path.stem], i, size) if path.stem in known else None for i, path in enumerate(files)]
    values = sorted({int(v) for label in labels if label is not None for v in np.unique(label)} - {0})
    binary = values == [255]
    ids = (1,) if binary else tuple(v for v in values if v != 255)
    wanted = np.array([255] if binary else ids, np.uint8)[:, None, None]
    masks = [None if label is None else label[None] == wanted for label in labels]
    return Clip(sequence, ImageFiles(files), ids, masks)


def _label(path: Path, frame: int, size: tuple[int, int]) -> np.ndarray:
    try:
        with Image.open(path) as image:
            label = np.array(image)
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{path}: the annotation of frame {frame} cannot be read: {error}") from error
    if label.ndim == 3 and (label[..., :3] == label[..., :1]).all():  # grey saved as RGB, as some DAVIS 2016 files
        label = label[..., 0]
    if label.dtype == bool:
        label = label * np.uint8(255)
    if label.ndim != 2 or label.dtype != np.uint8:
        raise ValueError(f"{path}: the annotation of frame {frame} is {label.dtype} {label.shape}, not 8-bit labels")
    if label.shape != size:
        raise ValueError(f"{path}: the annotation of frame {frame} has size {label.shape}, its image {size}")
    return label


def write(clips: Iterable[Clip], root: str | Path, resolution: str = "480p", quality: int = 95) -> None:
    """Writes clips in DAVIS 2017 layout: JPEG frames and palette PNGs. Where objects overlap, the higher ID wins.

    Raises ValueError for an object ID above 254, which the format cannot hold.
    """
    for clip in clips:
        if clip.object_ids and clip.object_ids[-1] > 254:
            raise ValueError(
                f"clip {clip.name!r}: object ID {clip.object_ids[-1]} does not fit into a DAVIS annotation"
            )
        images = Path(root) / "JPEGImages" / resolution / clip.name
        annotations = Path(root) / "Annotations" / resolution / clip.name
        images.mkdir(parents=True, exist_ok=True)
        annotations.mkdir(parents=True, exist_ok=True)
        for i, (frame, masks) in enumerate(zip(clip.frames, clip.masks, strict=True)):
            cv2.imwrite(str(images / f"{i:05d}.jpg"), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
            if masks is None:
                continue
            label = np.zeros(frame.shape[:2], np.uint8)
            for object_id, mask in zip(clip.object_ids, masks, strict=True):
                label[mask] = object_id
            image = Image.fromarray(label).convert("P")
            image.putpalette(PALETTE.tobytes())
            image.save(annotations / f"{i:05d}.png")


def clips(root: str | Path, names: Sequence[str] | None = None, resolution: str = "480p") -> Iterator[Clip]:
    """The named sequences, or all."""
    for name in names or sequences(root, resolution):
        yield read(root, name, resolution)
