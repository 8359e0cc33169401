"""Image files: decoding, sizes, the files of a folder in natural order."""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from sam2_ros.data.clips import ClipError
from sam2_ros.data.natural_order import natural

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_QUARTER_TURNED = {5, 6, 7, 8}  # EXIF orientations that swap width and height


@contextmanager
def opened(file: Path, frame: int | None) -> Iterator[Image.Image]:
    """The image in a file, not decoded yet. Whatever goes wrong inside becomes a ClipError.

    Pillow decodes here, as OpenCV returns the upper part of a truncated JPEG without a word.
    """
    try:
        with Image.open(file) as image:
            yield image
    except FileNotFoundError:
        raise ClipError(file, "the file is missing", frame) from None
    except ClipError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise ClipError(file, f"cannot be decoded as an image: {error}", frame) from error


def read_image(file: Path, frame: int | None = None) -> np.ndarray:
    """The image in a file, turned as its EXIF data say: uint8 [H, W, 3] RGB. Raises ClipError."""
    with opened(file, frame) as image:
        if image.mode.startswith(("I", "F")):
            raise ClipError(file, f"has pixels of more than 8 bits (mode {image.mode})", frame)
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def image_size(file: Path, frame: int | None = None) -> tuple[int, int]:
    """Height and width as `read_image` gives them, from the file's header alone. Raises ClipError."""
    with opened(file, frame) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation) in _QUARTER_TURNED
        return (image.width, image.height) if turned else (image.height, image.width)


def write_jpeg(file: Path, image: np.ndarray, quality: int) -> None:
    """Writes an image, uint8 [H, W, 3] RGB; quality 1 .. 95. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(file, quality=quality)


def image_files(folder: Path) -> list[Path]:
    """The images of a folder in natural order: frame_2 before frame_10. Raises ClipError if there are none.

    Hidden files, such as those that other systems put beside each one (._frame_2.jpg), are none.
    """
    if not folder.is_dir():
        raise ClipError(folder, "the folder is missing")
    files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != "."]
    if not files:
        raise ClipError(folder, f"there are no images (looked for {', '.join(sorted(SUFFIXES))})")
    return sorted(files, key=natural)


def check_masks(frames: Sequence[Path], masks: Iterable[Path]) -> None:
    """Raises ClipError where a mask has no frame of its name, or more than one.

    Numbers that are left out tell nothing by themselves: frames may be named by time, or be a selection. A mask tells
    that there was one.
    """
    stems: dict[str, Path] = {}
    for index, frame in enumerate(frames):
        if (other := stems.setdefault(frame.stem, frame)) is not frame:
            raise ClipError(frame, f"has the same name as {other.name}: which of them is the frame?", index)
    for mask in sorted(masks, key=natural):
        if mask.stem not in stems:
            missing = frames[0].with_name(mask.stem + frames[0].suffix)
            later = bisect_left(frames, natural(missing), key=natural)
            if later < len(frames):
                raise ClipError(missing, f"the file is missing, later frames are there, and so is {mask}", later)
            raise ClipError(mask, f"belongs to no frame: {missing} is missing")
