"""Image files: decoding, sizes, the files of a folder in their order."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from sam2_ros.data.clips import ClipError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
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
    """The images of a folder in the order of their numbers, or of their names. Raises ClipError if there are none."""
    if not folder.is_dir():
        raise ClipError(folder, "the folder is missing")
    files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    if not files:
        raise ClipError(folder, f"there are no images (looked for {', '.join(sorted(SUFFIXES))})")
    return sorted(files, key=lambda file: (int(file.stem) if file.stem.isdecimal() else -1, file.name))


def check_numbers(files: Sequence[Path]) -> None:
    """Raises ClipError where a frame is missing between others, in files numbered evenly: 00000.jpg, 00001.jpg, ..."""
    if len(files) < 3 or not all(file.stem.isdecimal() for file in files):
        return
    numbers = [int(file.stem) for file in files]
    steps = np.diff(numbers)
    for index in np.flatnonzero(steps == 0).tolist():
        raise ClipError(files[index + 1], f"has the same number as {files[index].name}", index + 1)
    for index in np.flatnonzero(steps != steps.min()).tolist():
        missing = str(numbers[index] + steps.min()).zfill(len(files[index].stem)) + files[index].suffix
        raise ClipError(files[index].with_name(missing), "the file is missing, later frames are there", index + 1)
