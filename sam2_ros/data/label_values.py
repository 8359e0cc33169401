"""The meaning of values in a clip's label images: object IDs, levels of one soft mask, or colours.

A single file is ambiguous: 255 is the object in DAVIS 2016 and belongs to none in DAVIS 2017, and the grey rim of a
mask that was resized or saved as JPEG looks like more objects. So the meaning is decided from all files of a clip.

Values are a rim if they cover no area (3 x 3 pixels) and lie between a lower and a higher neighbour. A mask is binary
if white covers areas and all values between white and black are rim: it is thresholded at half, with a warning. Values
without any rim are IDs. All else is refused, unless `meaning` is given.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sam2_ros.data.clips import ClipError, DataWarning
from sam2_ros.data.labels import MAX_ID, PALETTE, VOID, LabelImage, distinct, packed, painted, read_labels, write_pixels

MEANINGS = ("binary", "labels")
"""binary: one object, from half of the maximum on. labels: an object for each value."""

HINT = "choose with --mask-values (for another tracker's masks --answer-values) binary or labels"
MAX_COLOURS = 1024
MAX_BLEND_DISTANCE = 6
"""Maximum distance between a blend of two colours and the line between them, in levels."""
MIN_INNER = 0.05
"""Minimum share of an object's pixels that lie inside its area."""
MAX_NOISE_INNER = 0.5
"""Maximum share of dark pixels inside areas, if they are JPEG noise around white."""
MAX_NOISE = 2
"""Maximum levels of JPEG noise in areas. IDs rarely differ by this little everywhere."""
MIN_RIM = 0.5
"""Minimum share of a rim's pixels that lie between a lower and a higher value."""
MAX_TRACE = 0.01
"""Maximum share of pixels, relative to the area of white, on which other values are ignored."""
MIN_EVIDENCE = 16
"""Minimum pixels of a rim that counts as evidence."""


@dataclass(frozen=True)
class LabelValues:
    """The mapping between values and objects in a clip's label images. Also writes files in the same format."""

    object_ids: tuple[int, ...]
    values: tuple[int, ...]
    """Value of each object: grey level, palette index, or 0xRRGGBB."""
    layer: str = "values"
    """Layer of `LabelImage`: "values", "colours", "brightness", or "alpha"."""
    threshold: int | None = None
    """Minimum value of the only object. None: objects have exactly their values."""
    palette: bytes | None = PALETTE.tobytes()
    """Palette of written files. None: grey."""
    deep: bool = False
    """Whether files are written with 16 bits."""
    bilevel: bool = False
    """Whether files are written with one bit."""
    suffix: str = ".png"

    def masks(self, image: LabelImage) -> np.ndarray:
        """Masks of all objects: bool [N, H, W]."""
        pixels = layer(image, self.layer)
        if self.threshold is not None:
            return (pixels >= self.threshold)[None]
        return (
            np.stack([pixels == value for value in self.values]) if self.values else np.zeros((0, *pixels.shape), bool)
        )

    def unknown(self, image: LabelImage) -> list[int]:
        """Values of an image that belong to no object, ascending."""
        if self.threshold is not None:
            return []
        return sorted(set(distinct(layer(image, self.layer))) - {0, *self.values})

    def of(self, object_ids: tuple[int, ...]) -> LabelValues:
        """The same for these objects. The value of one that is not in the files is its ID, or DAVIS' colour of it."""
        if self.threshold is not None:
            return self
        shown = dict(zip(self.object_ids, self.values, strict=True))
        return replace(self, object_ids=object_ids, values=tuple(shown.get(i, self._default(i)) for i in object_ids))

    def _default(self, object_id: int) -> int:
        if self.layer != "colours":
            return object_id
        return int(packed(PALETTE[object_id])) if object_id <= MAX_ID else object_id

    def named(self, value: int) -> str:
        """A value in words, for messages."""
        return f"colour #{value:06x}" if self.layer == "colours" else f"label {value}"

    def write(self, folder: Path, stem: str, object_ids: Sequence[int], masks: np.ndarray) -> None:
        """Write masks, bool [N, H, W], as <folder>/<stem>.png. Where objects overlap, the higher ID wins.

        Raises ValueError for an ID above 65535, and OSError.
        """
        of = dict(zip(self.object_ids, self.values, strict=True))
        values = [of.get(object_id, self._default(object_id)) for object_id in object_ids]
        file = folder / f"{stem}{self.suffix}"
        if self.layer == "colours":
            pixels = painted(values, masks, np.uint32)
            rgb = np.stack([pixels >> shift & 255 for shift in (16, 8, 0)], axis=2).astype(np.uint8)
            write_pixels(file, rgb)
            return
        highest = max(values, default=0)
        if highest >= 2**16:
            raise ValueError(f"{file}: object ID {highest} does not fit into a label image; the highest is {2**16 - 1}")
        deep = self.deep or highest > VOID or (highest == VOID and VOID not in self.values)
        pixels = painted(values, masks, np.uint16 if deep else np.uint8)
        palette = None if deep or self.palette is None else np.frombuffer(self.palette, np.uint8)
        write_pixels(file, pixels, palette, self.bilevel and not deep)


def layer(image: LabelImage, name: str) -> np.ndarray:
    """A layer of a label image by name, [H, W]."""
    if name == "alpha" and image.alpha is None:
        return image.values
    return getattr(image, name)


def decide(
    folder: Path,
    files: Mapping[int, Path],
    size: tuple[int, int],
    meaning: str | None = None,
    like: LabelValues | None = None,
    data_set: Path | None = None,
) -> LabelValues:
    """Decide the meaning of the values in a clip's label images.

    Args:
        folder: folder of the files, for messages.
        files: files by index of their frame.
        size: expected height and width.
        meaning: one of MEANINGS. None: detected.
        like: its colours are used for objects. None: colours of DAVIS' palette stand for their index; others are
            numbered from 1 in the order 0xRRGGBB, among all colours of the clip.
        data_set: folder in the warning, which is the same for all clips. None: parent of `folder`.

    Raises:
        ClipError: a file is damaged, or the meaning is ambiguous.
        ValueError: `meaning` is unknown.
    """
    if meaning not in (None, *MEANINGS):
        raise ValueError(f"mask_values must be one of {', '.join(MEANINGS)}, not {meaning!r}")
    survey = _Survey.of(files, size)
    first = next(iter(files.values()))
    suffix = first.suffix if first.suffix.lower() == ".png" else ".png"
    if survey.coloured:
        values = _decide_colours(folder, survey, meaning, like)
    else:
        values = _decide_levels(folder, survey.levels, "values", meaning, survey)
        palette = None if survey.palette is None else survey.palette.tobytes()
        values = replace(values, palette=palette, deep=survey.deep, bilevel=survey.bilevel)
    if values.threshold is not None and meaning is None:
        warnings.warn(
            f"{data_set or folder.parent}: masks with soft edges, thresholded at half: they look like masks of one"
            " object that were resized, blurred or saved as JPEG. If values are object IDs, use --mask-values labels",
            DataWarning,
            stacklevel=2,
        )
    return replace(values, suffix=suffix)


class _Counts(NamedTuple):
    """Counts of pixels in all files, by value: int64 [values]."""

    every: np.ndarray
    inside: np.ndarray
    """Pixels whose eight neighbours have the same value."""
    between: np.ndarray
    """Pixels with a lower and a higher neighbour."""
    noisy: np.ndarray
    """Pixels whose neighbours differ by MAX_NOISE at most, but not by 0."""
    lowest: np.ndarray
    """Pixels for which this is the lowest value of the 3 x 3 neighbourhood."""

    @classmethod
    def none(cls, values: int = 2**16) -> _Counts:
        return cls(*np.zeros((5, values), np.int64))

    def add(self, pixels: np.ndarray) -> None:
        """Count the pixels of an image, [H, W] uint8 or uint16."""
        kernel = np.ones((3, 3), np.uint8)
        lowest, highest = cv2.erode(pixels, kernel), cv2.dilate(pixels, kernel)
        edge = lowest != highest  # few pixels: the rest is computed for these alone
        pixels_there, lowest, highest = pixels[edge], lowest[edge], highest[edge]

        def count(part: np.ndarray) -> np.ndarray:
            return np.bincount(part, minlength=len(self.every))

        every = count(pixels.ravel())
        inside = every - count(pixels_there)
        between = count(pixels_there[(lowest < pixels_there) & (pixels_there < highest)])
        noisy = count(pixels_there[highest - lowest <= MAX_NOISE])
        for sum_, more in zip(self, (every, inside, between, noisy, inside + count(lowest)), strict=True):
            sum_ += more


class _Colour(NamedTuple):
    """Counts of a colour's pixels in all files."""

    every: int
    inside: int
    """Pixels whose eight neighbours have the same colour."""
    among: int
    """Pixels with two other colours around."""


@dataclass
class _Survey:
    """Statistics of all files of a clip."""

    levels: _Counts
    colours: dict[int, _Colour] = field(default_factory=dict)
    """Counted if needed, up to about MAX_COLOURS."""
    colour_files: list[Path] = field(default_factory=list)
    alpha: _Counts | None = None
    palette: np.ndarray | None = None
    """Palette of the files, if they have one."""
    coloured: bool = False
    deep: bool = False
    bilevel: bool = True
    lossy: bool = False

    @classmethod
    def of(cls, files: Mapping[int, Path], size: tuple[int, int]) -> _Survey:
        """Survey files; they are read once, or twice with colours. Raises ClipError."""
        survey = cls(_Counts.none())
        indexed: dict[int, int] = {}  # colour of each index in use
        clash = grey = False
        for frame, file in files.items():
            image = read_labels(file, size, frame)
            survey.bilevel &= image.bilevel
            survey.lossy |= image.lossy
            survey.deep |= image.pixels.dtype == np.uint16
            if image.coloured:
                survey.colour_files.append(file)
                if image.alpha is not None:
                    survey.alpha = survey.alpha or _Counts.none()
                    survey.alpha.add(image.alpha)
                continue
            survey.levels.add(image.values)
            grey |= image.palette is None and bool(image.pixels.any())
            if image.palette is not None:
                survey.palette = image.palette if survey.palette is None else survey.palette
                colours = packed(image.palette)
                for index in distinct(image.pixels):
                    clash |= indexed.setdefault(index, int(colours[index])) != int(colours[index])
        clash |= bool(indexed.get(0) and 0 in indexed.values())  # black, the background, is not at index 0
        if survey.colour_files and any(indexed.values()):
            raise ClipError(survey.colour_files[0], "is a colour image, but other files have labels with a palette")
        if grey:
            survey.palette = None
        if survey.colour_files or (clash and not grey):
            survey.coloured = True
            survey._count_colours(files, size)
        else:
            survey.coloured = survey.palette is not None and survey._has_blends(indexed, files, size)
        return survey

    def _has_blends(self, indexed: Mapping[int, int], files: Mapping[int, Path], size: tuple[int, int]) -> bool:
        """Whether a palette has remains of soft edges, after a tool has reduced the colours.

        Args:
            indexed: the colour of each index in use.
        """
        if indexed.items() <= set(enumerate(packed(PALETTE).tolist())):
            return False
        few = sum(self.levels.inside[index] <= MIN_INNER * self.levels.every[index] for index in indexed) < 3
        if few and not all(colour % 0x10101 == 0 for colour in indexed.values()):
            return False
        self._count_colours(files, size)
        return self.has_rims

    def _count_colours(self, files: Mapping[int, Path], size: tuple[int, int]) -> None:
        self.colours = {}
        for frame, file in files.items():
            pixels = read_labels(file, size, frame).colours
            values, inverse = np.unique(pixels, return_inverse=True)
            if len(values) > MAX_COLOURS:
                self.colours |= {int(value): _Colour(0, 0, 0) for value in values}
            if len(self.colours) > MAX_COLOURS:
                return
            inverse = inverse.reshape(pixels.shape).astype(np.uint16)
            windows = sliding_window_view(np.pad(inverse, 1, mode="edge"), (3, 3))
            edge = (windows != inverse[..., None, None]).any(axis=(2, 3))
            around = np.sort(windows[edge].reshape(-1, 9), axis=1)
            among = inverse[edge][np.count_nonzero(np.diff(around, axis=1), axis=1) >= 2]
            parts = inverse.ravel(), inverse[~edge], among
            for value, *counts in zip(
                values.tolist(), *(np.bincount(part, minlength=len(values)).tolist() for part in parts), strict=True
            ):
                before = self.colours.get(value, (0, 0, 0))
                self.colours[value] = _Colour(*(one + more for one, more in zip(before, counts, strict=True)))

    @property
    def solid(self) -> list[int]:
        """Colours that cover areas, without black."""
        return [
            colour for colour, counts in self.colours.items() if colour and counts.inside > MIN_INNER * counts.every
        ]

    @property
    def thin(self) -> dict[int, int]:
        """The others, without black, with their pixels."""
        solid = {0, *self.solid}
        return {colour: counts.every for colour, counts in self.colours.items() if colour not in solid}

    @property
    def has_rims(self) -> bool:
        """Whether the thin colours are rims between others, not objects."""
        thin = self.thin
        pixels, among = sum(thin.values()), sum(self.colours[colour].among for colour in thin)
        rims = len(thin) > 64 or (len(thin) >= 3 and among >= MIN_RIM * pixels) or _blends(thin, [0, *self.solid])
        return pixels >= MIN_EVIDENCE and rims


def _decide_levels(folder: Path, counts: _Counts, of: str, meaning: str | None, survey: _Survey) -> LabelValues:
    """The meaning of grey levels or palette indices, the values of one layer."""
    palette, deep = survey.palette is not None, survey.deep
    values = (np.flatnonzero(counts.every[1:]) + 1).tolist()
    top = max(values, default=0)
    white = 2**16 - 1 if top > VOID else VOID

    def binary() -> LabelValues:
        if len(values) == 1:
            return LabelValues((1,), (top,), of, palette=None)
        if palette:  # indices have no levels: all belong to the object
            return LabelValues((1,), (values[0],), of, 1)
        return LabelValues((1,), (white,), of, (top + 1) // 2, None)

    if meaning == "binary":
        return binary() if values else LabelValues((), (), of, palette=None)
    if meaning is None and not palette:
        if values == [white] and (not deep or white > VOID):
            return binary()
        if len(values) > 1 and _soft(counts, white):
            return binary()
    ids = [value for value in values if value != VOID] if not deep and len(values) > 1 else values
    if values == [VOID] and not deep:
        return LabelValues((1,), (VOID,), of, palette=None)
    if meaning is None and survey.lossy:
        raise ClipError(folder, f"JPEG changes values, so they can't be object IDs: save masks as PNG, or {HINT}")
    if meaning is None and (problem := _not_labels(counts, ids, len(ids) < len(values) and not palette)):
        raise ClipError(folder, f"{problem}; {HINT}")
    return LabelValues(tuple(ids), tuple(ids), of, palette=None)


def _soft(counts: _Counts, white: int) -> bool:
    """Whether white is an object, and all other values but black its rim."""
    step = (white + 1) // 256

    def of(low: int, high: int) -> tuple[int, int, int]:
        part = slice(low * step, high * step)
        return int(counts.every[part].sum()), int(counts.inside[part].sum()), int(counts.between[part].sum())

    dark, grey, light = of(1, 32), of(32, 224), of(224, 256)
    thin = (counts.every > 0) & (counts.inside <= MIN_INNER * counts.every)
    if not thin[1:].any() or not counts.lowest[224 * step :].any() or light[0] < grey[0] / 2:
        return False
    noisy = bool(counts.every[224 * step : white].any())  # JPEG noise near white, which IDs never have

    def rim(every: int, inside: int, between: int, area: float = MIN_INNER) -> bool:
        return inside <= area * every and (noisy or between >= MIN_RIM * every or every <= MAX_TRACE * light[0])

    return rim(*grey) and rim(*dark, MAX_NOISE_INNER if noisy else MIN_INNER)


def _not_labels(counts: _Counts, ids: Sequence[int], void: bool) -> str:
    """The reason why values can't be object IDs; empty if they can."""
    every, inside, between, noisy = (count[list(ids)] for count in counts[:4])
    thin = inside <= MIN_INNER * every
    pixels = int(every[thin].sum())
    rim = int(between[thin].sum()) / max(pixels, 1)
    noise = thin & (noisy >= MIN_RIM * every)
    if (pixels >= MIN_EVIDENCE and rim >= (MIN_RIM if thin.sum() >= 3 else 0.9)) or noise.sum() >= 3:
        solid = [value for value, thinly in zip(ids, thin.tolist(), strict=True) if not thinly]
        areas = f" (only {_list(solid)} do)" if solid else ""
        problem = f"{int(thin.sum())} of the {len(ids)} values cover no area{areas}"
        return f"looks like masks with soft edges from resizing, blurring or JPEG: {problem}"
    if void and max(ids) >= 64 and max(ids) > 2 * len(ids):
        return f"values {_list([*ids, VOID])} may be IDs (and {VOID} no object), grey levels of objects, or trimaps"
    return ""


def _decide_colours(folder: Path, survey: _Survey, meaning: str | None, like: LabelValues | None) -> LabelValues:
    values = survey.colours.keys() - {0}
    if len(survey.colours) > MAX_COLOURS:
        if survey.alpha is not None:  # cut-out objects: the mask is the visible part
            return _decide_levels(folder, survey.alpha, "alpha", meaning, survey)
        raise ClipError(folder, f"has more than {MAX_COLOURS} colours: these are no masks, or they were saved as JPEG")
    if survey.deep:
        raise ClipError(survey.colour_files[0], "is a colour image, but other files have labels of 16 bits")
    if 0 not in survey.colours:
        raise ClipError(folder, "has colour masks without black, the background")
    solid, thin = survey.solid, survey.thin
    indices = {int(colour): index for index, colour in enumerate(packed(PALETTE))}
    in_palette = values <= indices.keys()  # rims of other colours hardly ever are
    if meaning is None and survey.lossy:
        raise ClipError(folder, "has colour masks saved as JPEG, which changes colours: save them as PNG")
    sure = meaning is not None or in_palette
    if meaning == "binary" or (not sure and len(solid) == 1 and thin and _blends(thin, [0, *solid])):
        brightest = max(max(colour >> shift & 255 for shift in (16, 8, 0)) for colour in solid or values)
        return LabelValues((1,), (VOID,), "brightness", (brightest + 1) // 2, None)
    if not sure and survey.has_rims:
        problem = f"looks like masks with soft edges: {len(thin)} of the {len(values)} colours cover no area"
        raise ClipError(folder, f"{problem}; resize masks by nearest neighbour, and save them as PNG, or {HINT}")
    if like is not None and like.layer == "colours":
        return like
    if in_palette:
        ids = sorted(indices[colour] for colour in values)
        ids = [index for index in ids if index <= MAX_ID] or ids
        colours = [int(packed(PALETTE[index])) for index in ids]
        return LabelValues((1,) if ids == [VOID] else tuple(ids), tuple(colours), "colours")
    if like is not None:
        unknown = min(values - indices.keys())
        raise ClipError(folder, f"has colour #{unknown:06x}, which belongs to no object")
    return LabelValues(tuple(range(1, len(values) + 1)), tuple(sorted(values)), "colours")


def _blends(thin: Mapping[int, int], solid: Sequence[int]) -> bool:
    """Whether most pixels of these colours are mixtures of two colours that cover areas."""
    ends = np.array([[colour >> shift & 255 for shift in (16, 8, 0)] for colour in solid], float)
    first, second = np.triu_indices(len(ends), 1)
    start, span = ends[first], ends[second] - ends[first]
    length = np.maximum((span**2).sum(axis=1), 1)
    mixed = 0
    for colour, pixels in thin.items():
        point = np.array([colour >> shift & 255 for shift in (16, 8, 0)], float) - start
        share = np.clip((point * span).sum(axis=1) / length, 0, 1)
        if (np.abs(point - share[:, None] * span).max(axis=1) <= MAX_BLEND_DISTANCE).any():
            mixed += pixels
    return mixed > 0.9 * sum(thin.values())


def _list(values: Iterable[int]) -> str:
    values = list(values)
    return ", ".join(map(str, values[:8])) + (", ..." if len(values) > 8 else "")
