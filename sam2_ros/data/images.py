"""Image files: decoding, sizes, and listing in natural order."""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from sam2_ros.data.clips import ClipError
from sam2_ros.data.natural_order import natural

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_SWAPPED_SIDES = {5, 6, 7, 8}
"""EXIF orientations that swap width and height."""


@contextmanager
def opened(file: Path, frame: int | None) -> Iterator[Image.Image]:
    """Open an image file, without decoding it yet. Turns errors inside into ClipErrors.

    Pillow decodes here, because OpenCV silently returns the upper part of a truncated JPEG.
    """
    try:
        with Image.open(file) as image:
            yield image
    except FileNotFoundError:
        raise ClipError(file, "the file is missing", frame) from None
    except ClipError:
        raise
    except UnidentifiedImageError as error:  # its message is the path again
        raise ClipError(file, "cannot be decoded as an image: it is of no known format", frame) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise ClipError(file, f"cannot be decoded as an image: {error}", frame) from error


def read_image(file: Path, frame: int | None = None) -> np.ndarray:
    """Read an image with its EXIF rotation: uint8 [H, W, 3] RGB. Raises ClipError."""
    with opened(file, frame) as image:
        if image.mode.startswith(("I", "F")):
            raise ClipError(file, f"has pixels of more than 8 bits (mode {image.mode}); convert it to 8 bits", frame)
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def image_size(file: Path, frame: int | None = None) -> tuple[int, int]:
    """Height and width of the image that `read_image` returns, from the header alone. Raises ClipError."""
    with opened(file, frame) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation) in _SWAPPED_SIDES
        return (image.width, image.height) if turned else (image.height, image.width)


def write_jpeg(file: Path, image: np.ndarray, quality: int) -> None:
    """Write an image, uint8 [H, W, 3] RGB; quality 1 .. 95. Raises OSError."""
    save_image(file, Image.fromarray(image), "JPEG", quality=quality)


def save_image(file: Path, image: Image.Image, kind: str, **options: Any) -> None:
    """Write an image file, and its folder. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content = BytesIO()  # Pillow's own writing ignores a disk that is full in the middle of a file
    image.save(content, kind, **options)
    file.write_bytes(content.getbuffer())


def image_files(folder: Path) -> list[Path]:
    """Image files of a folder in natural order: frame_2 before frame_10. Raises ClipError if there are none.

    Hidden files, such as ._frame_2.jpg of macOS, are ignored.
    """
    if not folder.is_dir():
        raise ClipError(folder, "the folder is missing")
    files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != "."]
    if not files:
        raise ClipError(folder, f"contains no images ({', '.join(sorted(SUFFIXES))})")
    return sorted(files, key=natural)


def check_masks(frames: Sequence[Path], masks: Iterable[Path]) -> None:
    """Raise ClipError if a mask has no frame of its name, or several.

    Gaps in the numbers of frames alone are no error: frames may be named by time, or be a selection.
    """
    stems: dict[str, Path] = {}
    for index, frame in enumerate(frames):
        if (other := stems.setdefault(frame.stem, frame)) is not frame:
            raise ClipError(frame, f"has the same name as {other.name}; remove one of them", index)
    for mask in sorted(masks, key=natural):
        if mask.stem not in stems:
            missing = frames[0].with_name(mask.stem + frames[0].suffix)
            later = bisect_left(frames, natural(missing), key=natural)
            if later < len(frames):
                raise ClipError(missing, f"the file is missing, but later frames and {mask} exist", later)
            raise ClipError(mask, f"belongs to no frame: {missing} is missing")
