"""Label images: files with the masks of all objects of a frame, in which a pixel's value identifies its object.

The meaning of values can't be decided from a single file: see `label_values`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sam2_ros.data.clips import ClipError
from sam2_ros.data.images import SUFFIXES, opened, save_image

PALETTE = np.zeros((256, 3), np.uint8)  # of Pascal VOC, DAVIS and later data sets: the ID's bits, interleaved
for _bit in range(8):
    for _channel in range(3):
        PALETTE[:, _channel] |= ((np.arange(256) >> (3 * _bit + _channel) & 1) << (7 - _bit)).astype(np.uint8)

VOID = 255
"""Value of pixels that belong to no object, in DAVIS and Pascal VOC."""
MAX_ID = 254
MAX_GREY_LABELS = 16
"""A palette with more grey levels shows brightness."""


@dataclass(frozen=True, eq=False)
class LabelImage:
    """The content of a label image file."""

    pixels: np.ndarray
    """uint8 [H, W] (grey, or indices into the palette), uint16 [H, W], or uint8 [H, W, 3] RGB, not grey all over."""
    palette: np.ndarray | None = None
    """Colours of the indices, uint8 [N, 3] RGB."""
    alpha: np.ndarray | None = None
    """uint8 [H, W]; None: constant or missing."""
    bilevel: bool = False
    """Whether the file has one bit per pixel; the pixels are 0 and 255 then."""
    lossy: bool = False
    """Whether it is a JPEG, regardless of its suffix."""

    @property
    def coloured(self) -> bool:
        return self.pixels.ndim == 3

    @property
    def values(self) -> np.ndarray:
        """Grey levels or indices, [H, W]; for colours the brightest channel."""
        return self.pixels.max(axis=2) if self.coloured else self.pixels

    @property
    def brightness(self) -> np.ndarray:
        """The brightest channel, also of the palette's colours, [H, W]."""
        return self.values if self.palette is None else self.palette.max(axis=1)[self.pixels]

    @property
    def colours(self) -> np.ndarray:
        """0xRRGGBB, uint32 [H, W]."""
        rgb = self.pixels
        if not self.coloured:
            rgb = np.stack([rgb] * 3, axis=2) if self.palette is None else self.palette[rgb]
        return packed(rgb)


def distinct(pixels: np.ndarray) -> list[int]:
    """The different values of an integer image, ascending."""
    if pixels.dtype == np.uint32:
        return np.unique(pixels).tolist()
    return np.flatnonzero(np.bincount(pixels.ravel())).tolist()


def packed(rgb: np.ndarray) -> np.ndarray:
    """Colours, uint8 [..., 3], as numbers 0xRRGGBB, uint32 [...]."""
    red, green, blue = (rgb[..., channel].astype(np.uint32) for channel in range(3))
    return red << 16 | green << 8 | blue


def read_labels(file: Path, size: tuple[int, int], frame: int | None = None) -> LabelImage:
    """Read a label image: with a palette, in 8 or 16-bit grey, bilevel, or in colours.

    Grey saved as RGB or as a palette of grey levels is read as grey. Transparent pixels become black; if all visible
    pixels are black, alpha holds the labels.

    Args:
        file: path.
        size: expected height and width, those of the video's frames.
        frame: index in the clip, for errors.

    Raises:
        ClipError: the file is damaged, of another size, or no label image.
    """
    with opened(file, frame) as image:
        if (image.height, image.width) != size:
            actual = f"{image.width} x {image.height}"
            raise ClipError(file, f"is {actual} pixels, the video's frames are {size[1]} x {size[0]}", frame)
        if image.mode == "P":
            return _indexed(file, image, frame)
        if image.mode == "1":
            return LabelImage(np.array(image) * np.uint8(255), bilevel=True)
        if image.mode.startswith("I"):
            return LabelImage(_from_16_bits(file, np.array(image), frame))
        if image.mode == "F":
            raise ClipError(file, "holds floating-point values instead of labels of 8 or 16 bits", frame)
        if image.mode in ("LA", "La", "RGBA", "RGBa", "PA"):
            return _transparent(np.array(image.convert("RGBA")))
        pixels, lossy = np.array(image if image.mode == "L" else image.convert("RGB")), image.format in ("JPEG", "MPO")
    return LabelImage(_grey(pixels), lossy=lossy)


def _indexed(file: Path, image: Image.Image, frame: int | None) -> LabelImage:
    indices = np.array(image)
    palette = np.array(image.getpalette() or (), np.uint8).reshape(-1, 3)
    if indices.size and indices.max() >= len(palette):
        raise ClipError(file, f"has label {indices.max()}, but its palette has only {len(palette)} colours", frame)
    levels = np.unique(palette[:, 0])
    if (palette == palette[:, :1]).all() and (len(levels) > MAX_GREY_LABELS or levels.tolist() == [0, 255]):
        return LabelImage(palette[indices, 0])
    return LabelImage(indices, palette)


def _from_16_bits(file: Path, pixels: np.ndarray, frame: int | None) -> np.ndarray:
    if pixels.size and not 0 <= pixels.min() <= pixels.max() < 2**16:
        raise ClipError(file, f"has values {pixels.min()} to {pixels.max()}, not labels of 8 or 16 bits", frame)
    return pixels.astype(np.uint16)


def _transparent(rgba: np.ndarray) -> LabelImage:
    rgb, alpha = rgba[..., :3], np.ascontiguousarray(rgba[..., 3])
    if not alpha.any() and (rgb == rgb[:1, :1]).all():  # completely transparent
        return LabelImage(alpha)
    if (alpha == alpha[0, 0]).all():
        return LabelImage(_grey(np.ascontiguousarray(rgb)))
    if not rgb[alpha > 0].any():
        return LabelImage(alpha, alpha=alpha)
    return LabelImage(_grey((rgb * (alpha[..., None] / np.float32(255)) + 0.5).astype(np.uint8)), alpha=alpha)


def _grey(pixels: np.ndarray) -> np.ndarray:
    """A single channel if all three are equal."""
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        return np.ascontiguousarray(pixels[..., 0])
    return pixels


def label_files(folder: Path) -> dict[str, Path]:
    """Label images of a folder by name without suffix: its PNGs, or other images if there are none."""
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    pngs = [path for path in files if path.suffix.lower() == ".png"]
    return {path.stem: path for path in pngs or files}


def write_labels(file: Path, object_ids: Sequence[int], masks: np.ndarray) -> None:
    """Write masks, bool [N, H, W], as a palette PNG. Where objects overlap, the higher ID wins.

    Raises:
        ValueError: an ID is above 254.
        OSError: the file can't be written.
    """
    if max(object_ids, default=0) > MAX_ID:
        raise ValueError(
            f"{file}: object ID {max(object_ids)} does not fit into a label image; the highest is {MAX_ID}"
        )
    write_pixels(file, painted(object_ids, masks, np.uint8), PALETTE)


def painted(values: Sequence[int], masks: np.ndarray, dtype: type) -> np.ndarray:
    """Paint values into the areas of their masks, bool [N, H, W]; the last one wins: [H, W]."""
    pixels: np.ndarray = np.zeros(masks.shape[1:], dtype)
    for value, mask in zip(values, masks, strict=True):
        pixels[mask] = value
    return pixels


def write_pixels(file: Path, pixels: np.ndarray, palette: np.ndarray | None = None, bilevel: bool = False) -> None:
    """Write the pixels, palette and depth of a `LabelImage`. Raises OSError."""
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette.tobytes())
    save_image(file, image.convert("1", dither=Image.Dither.NONE) if bilevel else image, "PNG")
