"""What the values in a clip's label images mean: IDs of objects, the levels of one soft mask, or colours.

A single file does not tell: 255 is the object in DAVIS 2016 and belongs to none in DAVIS 2017, and the grey rim of a
mask that was resized or saved as JPEG looks like more objects. So all files of a clip are looked at together.

Values count as rim where they cover no area (3 x 3 pixels) and lie between a lower and a higher neighbour. A mask is
plainly binary where white covers areas and all between it and black is rim: it is thresholded at half, with a warning.
Values without any rim are IDs. What is neither is refused, unless `meaning` says what it is.
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
"""What one can say that values are: of one object, from half of the highest on; or of an object each."""

SAY = "say what it is with --mask-values (of another tracker's masks --answer-values) binary or labels"
MOST_COLOURS = 1024
COLOUR_TOLERANCE = 6  # levels; how far a blend of two colours may be from the line between them
AREA = 0.05  # of a value's pixels, so many at least are inside an area where it is that of an object
AREA_OF_NOISE = 0.5  # of dark pixels, so many at most are inside an area where they are what JPEG leaves around white
RIPPLE = 2  # levels; JPEG leaves such a noise in areas, IDs of objects hardly ever differ by so little everywhere
RIM = 0.5  # of the pixels of rims, so many lie between a lower and a higher value
TRACE = 0.01  # beside an area of white, other values on fewer pixels than this part of it are dirt
FEW = 16  # pixels; fewer don't prove anything


@dataclass(frozen=True)
class LabelValues:
    """How the label images of a clip say which object a pixel belongs to; writes others like them."""

    object_ids: tuple[int, ...]
    values: tuple[int, ...]
    """In the files, of each object: grey level, index of the palette, or 0xRRGGBB."""
    layer: str = "values"
    """Of `LabelImage`: "values", "colours", "brightness", or "alpha"."""
    threshold: int | None = None
    """From this value on a pixel belongs to the only object. None: objects have exactly their values."""
    palette: bytes | None = PALETTE.tobytes()
    """What files are written with. None: grey."""
    deep: bool = False
    """Whether they are written with 16 bits."""
    bilevel: bool = False
    """Whether they are written with one."""
    suffix: str = ".png"

    def masks(self, image: LabelImage) -> np.ndarray:
        """bool [N, H, W]."""
        pixels = layer(image, self.layer)
        if self.threshold is not None:
            return (pixels >= self.threshold)[None]
        return (
            np.stack([pixels == value for value in self.values]) if self.values else np.zeros((0, *pixels.shape), bool)
        )

    def strangers(self, image: LabelImage) -> list[int]:
        """Values that stand for no object, ascending."""
        if self.threshold is not None:
            return []
        return sorted(set(distinct(layer(image, self.layer))) - {0, *self.values})

    def of(self, object_ids: tuple[int, ...]) -> LabelValues:
        """With these objects. Those that the files don't show have their ID for a value, or its colour in DAVIS."""
        if self.threshold is not None:
            return self
        shown = dict(zip(self.object_ids, self.values, strict=True))
        return replace(self, object_ids=object_ids, values=tuple(shown.get(i, self._usual(i)) for i in object_ids))

    def _usual(self, object_id: int) -> int:
        if self.layer != "colours":
            return object_id
        return int(packed(PALETTE[object_id])) if object_id <= MAX_ID else object_id

    def named(self, value: int) -> str:
        """A value as a message has it."""
        return f"colour #{value:06x}" if self.layer == "colours" else f"label {value}"

    def write(self, folder: Path, stem: str, object_ids: Sequence[int], masks: np.ndarray) -> None:
        """Writes masks, bool [N, H, W], as <folder>/<stem>.png. Where objects overlap, the higher ID wins.

        Raises ValueError for an ID that no file can hold, and OSError.
        """
        of = dict(zip(self.object_ids, self.values, strict=True))
        values = [of.get(object_id, self._usual(object_id)) for object_id in object_ids]
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
    """One of its layers, [H, W]."""
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
    """What the values of a clip's label images mean.

    Args:
        folder: that they are in, for messages.
        files: of the frames, by index.
        size: height and width that they must have.
        meaning: one of MEANINGS. None: the values themselves must tell.
        like: whose colours stand for which objects. None: colours of DAVIS' palette stand for their index; others are
            numbered from 1 in the order 0xRRGGBB, by all that the clip has.
        data_set: folder that a warning is about, so that there is one for all clips. None: the one that `folder` is in.

    Raises:
        ClipError: a file is damaged, or it is not plain what they mean.
    """
    if meaning not in (None, *MEANINGS):
        raise ValueError(f"mask_values must be one of {', '.join(MEANINGS)}, not {meaning!r}")
    survey = _Survey.of(files, size)
    first = next(iter(files.values()))
    suffix = first.suffix if first.suffix.lower() == ".png" else ".png"
    if survey.coloured:
        said = _of_colours(folder, survey, meaning, like)
    else:
        said = _of_levels(folder, survey.levels, "values", meaning, survey)
        palette = None if survey.palette is None else survey.palette.tobytes()
        said = replace(said, palette=palette, deep=survey.deep, bilevel=survey.bilevel)
    if said.threshold is not None and meaning is None:
        warnings.warn(
            f"{data_set or folder.parent}: masks with soft edges, thresholded at half: they look like masks of one"
            " object that were resized, blurred or saved as JPEG. If levels are IDs of objects: --mask-values labels",
            DataWarning,
            stacklevel=2,
        )
    return replace(said, suffix=suffix)


class _Counts(NamedTuple):
    """Of pixels in all files, by value, int64 [values]."""

    every: np.ndarray
    inside: np.ndarray
    """Whose eight neighbours have the same value."""
    between: np.ndarray
    """With a lower and a higher neighbour."""
    noisy: np.ndarray
    """Whose neighbours differ from each other, but by RIPPLE at most."""
    lowest: np.ndarray
    """With this value for the lowest among it and its neighbours."""

    @classmethod
    def none(cls, values: int = 2**16) -> _Counts:
        return cls(*np.zeros((5, values), np.int64))

    def add(self, pixels: np.ndarray) -> None:
        """Of an image, [H, W] uint8 or uint16."""
        kernel = np.ones((3, 3), np.uint8)
        lowest, highest = cv2.erode(pixels, kernel), cv2.dilate(pixels, kernel)
        edge = lowest != highest  # few pixels, so most is worked out for these alone
        pixels_there, lowest, highest = pixels[edge], lowest[edge], highest[edge]

        def count(part: np.ndarray) -> np.ndarray:
            return np.bincount(part, minlength=len(self.every))

        every = count(pixels.ravel())
        inside = every - count(pixels_there)
        between = count(pixels_there[(lowest < pixels_there) & (pixels_there < highest)])
        noisy = count(pixels_there[highest - lowest <= RIPPLE])
        for sum_, more in zip(self, (every, inside, between, noisy, inside + count(lowest)), strict=True):
            sum_ += more


class _Colour(NamedTuple):
    """Its pixels in all files."""

    every: int
    inside: int
    """Whose eight neighbours have the same colour."""
    among: int
    """With two other colours around."""


@dataclass
class _Survey:
    """What is in all files of a clip."""

    levels: _Counts
    colours: dict[int, _Colour] = field(default_factory=dict)
    """If they were counted; counting ends where there are more than MOST_COLOURS."""
    colour_files: list[Path] = field(default_factory=list)
    alpha: _Counts | None = None
    palette: np.ndarray | None = None
    """Of all files, if they have one."""
    coloured: bool = False
    deep: bool = False
    bilevel: bool = True
    lossy: bool = False

    @classmethod
    def of(cls, files: Mapping[int, Path], size: tuple[int, int]) -> _Survey:
        """Reads each once, or twice if there are colours. Raises ClipError."""
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
        clash |= bool(indexed.get(0) and 0 in indexed.values())  # black, the background, is not the first
        if survey.colour_files and any(indexed.values()):
            raise ClipError(survey.colour_files[0], "is a picture in colours, while others have labels with a palette")
        if grey:
            survey.palette = None
        if survey.colour_files or (clash and not grey):
            survey.coloured = True
            survey._count_colours(files, size)
        else:
            survey.coloured = survey.palette is not None and survey._of_blends(indexed, files, size)
        return survey

    def _of_blends(self, indexed: Mapping[int, int], files: Mapping[int, Path], size: tuple[int, int]) -> bool:
        """Whether a palette holds what is left of soft edges, after a tool made the colours fewer.

        Args:
            indexed: the colour of each index in use.
        """
        if indexed.items() <= set(enumerate(packed(PALETTE).tolist())):
            return False
        few = sum(self.levels.inside[index] <= AREA * self.levels.every[index] for index in indexed) < 3
        if few and not all(colour % 0x10101 == 0 for colour in indexed.values()):
            return False
        self._count_colours(files, size)
        return self.has_rims

    def _count_colours(self, files: Mapping[int, Path], size: tuple[int, int]) -> None:
        self.colours = {}
        for frame, file in files.items():
            pixels = read_labels(file, size, frame).colours
            values, where = np.unique(pixels, return_inverse=True)
            if len(values) > MOST_COLOURS:
                self.colours |= {int(value): _Colour(0, 0, 0) for value in values}
            if len(self.colours) > MOST_COLOURS:
                return
            where = where.reshape(pixels.shape).astype(np.uint16)
            windows = sliding_window_view(np.pad(where, 1, mode="edge"), (3, 3))
            edge = (windows != where[..., None, None]).any(axis=(2, 3))
            around = np.sort(windows[edge].reshape(-1, 9), axis=1)
            among = where[edge][np.count_nonzero(np.diff(around, axis=1), axis=1) >= 2]
            parts = where.ravel(), where[~edge], among
            for value, *counts in zip(
                values.tolist(), *(np.bincount(part, minlength=len(values)).tolist() for part in parts), strict=True
            ):
                before = self.colours.get(value, (0, 0, 0))
                self.colours[value] = _Colour(*(one + more for one, more in zip(before, counts, strict=True)))

    @property
    def solid(self) -> list[int]:
        """Colours that cover areas, without black."""
        return [colour for colour, counts in self.colours.items() if colour and counts.inside > AREA * counts.every]

    @property
    def thin(self) -> dict[int, int]:
        """The others, without black, with their pixels."""
        solid = {0, *self.solid}
        return {colour: counts.every for colour, counts in self.colours.items() if colour not in solid}

    @property
    def has_rims(self) -> bool:
        """Whether the thin colours are no things but what lies between others."""
        thin = self.thin
        pixels, among = sum(thin.values()), sum(self.colours[colour].among for colour in thin)
        rims = len(thin) > 64 or (len(thin) >= 3 and among >= RIM * pixels) or _blends(thin, [0, *self.solid])
        return pixels >= FEW and rims


def _of_levels(folder: Path, counts: _Counts, of: str, meaning: str | None, survey: _Survey) -> LabelValues:
    """Of grey levels or indices, which are those of a layer."""
    palette, deep = survey.palette is not None, survey.deep
    found = (np.flatnonzero(counts.every[1:]) + 1).tolist()
    top = max(found, default=0)
    white = 2**16 - 1 if top > VOID else VOID

    def binary() -> LabelValues:
        if len(found) == 1:
            return LabelValues((1,), (top,), of, palette=None)
        if palette:  # indices are no levels: all are the object
            return LabelValues((1,), (found[0],), of, 1)
        return LabelValues((1,), (white,), of, (top + 1) // 2, None)

    if meaning == "binary":
        return binary() if found else LabelValues((), (), of, palette=None)
    if meaning is None and not palette:
        if found == [white] and (not deep or white > VOID):
            return binary()
        if len(found) > 1 and _soft(counts, white):
            return binary()
    ids = [value for value in found if value != VOID] if not deep and len(found) > 1 else found
    if found == [VOID] and not deep:
        return LabelValues((1,), (VOID,), of, palette=None)
    if meaning is None and survey.lossy:
        raise ClipError(folder, f"JPEG changes values, so they can't be IDs of objects: save masks as PNG, or {SAY}")
    if meaning is None and (problem := _not_labels(counts, ids, len(ids) < len(found) and not palette)):
        raise ClipError(folder, f"{problem}; {SAY}")
    return LabelValues(tuple(ids), tuple(ids), of, palette=None)


def _soft(counts: _Counts, white: int) -> bool:
    """Whether one object is white, and all that is neither black nor white its rim."""
    step = (white + 1) // 256

    def of(low: int, high: int) -> tuple[int, int, int]:
        part = slice(low * step, high * step)
        return int(counts.every[part].sum()), int(counts.inside[part].sum()), int(counts.between[part].sum())

    dark, grey, light = of(1, 32), of(32, 224), of(224, 256)
    thin = (counts.every > 0) & (counts.inside <= AREA * counts.every)
    if not thin[1:].any() or not counts.lowest[224 * step :].any() or light[0] < grey[0] / 2:
        return False
    noisy = bool(counts.every[224 * step : white].any())  # as JPEG leaves it on both sides; nobody numbers objects so

    def rim(every: int, inside: int, between: int, area: float = AREA) -> bool:
        return inside <= area * every and (noisy or between >= RIM * every or every <= TRACE * light[0])

    return rim(*grey) and rim(*dark, AREA_OF_NOISE if noisy else AREA)


def _not_labels(counts: _Counts, ids: Sequence[int], void: bool) -> str:
    """Why values can't be taken for the IDs of objects; empty: they can."""
    every, inside, between, noisy = (count[list(ids)] for count in counts[:4])
    thin = inside <= AREA * every
    pixels = int(every[thin].sum())
    rim = int(between[thin].sum()) / max(pixels, 1)
    noise = thin & (noisy >= RIM * every)
    if (pixels >= FEW and rim >= (RIM if thin.sum() >= 3 else 0.9)) or noise.sum() >= 3:
        solid = [value for value, thinly in zip(ids, thin.tolist(), strict=True) if not thinly]
        areas = f" (only {_list(solid)} do)" if solid else ""
        problem = f"{int(thin.sum())} of the {len(ids)} values cover no area{areas}"
        return f"looks like masks with soft edges, as resizing, blurring and JPEG leave them: {problem}"
    if void and max(ids) >= 64 and max(ids) > 2 * len(ids):
        return (
            f"values {_list([*ids, VOID])} may be IDs, and {VOID} no object, or objects in shades of grey, or trimaps"
        )
    return ""


def _of_colours(folder: Path, survey: _Survey, meaning: str | None, like: LabelValues | None) -> LabelValues:
    found = survey.colours.keys() - {0}
    if len(survey.colours) > MOST_COLOURS:
        if survey.alpha is not None:  # objects that were cut out: the mask is what can be seen
            return _of_levels(folder, survey.alpha, "alpha", meaning, survey)
        raise ClipError(folder, f"has more than {MOST_COLOURS} colours: no masks, or saved as JPEG")
    if survey.deep:
        raise ClipError(survey.colour_files[0], "is a picture in colours, while others have labels of 16 bits")
    if 0 not in survey.colours:
        raise ClipError(folder, "has masks in colours without any black, which is what belongs to no object")
    solid, thin = survey.solid, survey.thin
    indices = {int(colour): index for index, colour in enumerate(packed(PALETTE))}
    of_palette = found <= indices.keys()  # which the rims of others hardly ever are
    if meaning is None and survey.lossy:
        raise ClipError(folder, "has masks in colours that were saved as JPEG, which changes colours: save them as PNG")
    sure = meaning is not None or of_palette
    if meaning == "binary" or (not sure and len(solid) == 1 and thin and _blends(thin, [0, *solid])):
        brightest = max(max(colour >> shift & 255 for shift in (16, 8, 0)) for colour in solid or found)
        return LabelValues((1,), (VOID,), "brightness", (brightest + 1) // 2, None)
    if not sure and survey.has_rims:
        problem = f"looks like masks with soft edges: {len(thin)} of the {len(found)} colours cover no area"
        raise ClipError(folder, f"{problem}; resize masks with nearest neighbours, and save no JPEG, or {SAY}")
    if like is not None and like.layer == "colours":
        return like
    if of_palette:
        ids = sorted(indices[colour] for colour in found)
        ids = [index for index in ids if index <= MAX_ID] or ids
        colours = [int(packed(PALETTE[index])) for index in ids]
        return LabelValues((1,) if ids == [VOID] else tuple(ids), tuple(colours), "colours")
    if like is not None:
        stranger = min(found - indices.keys())
        raise ClipError(folder, f"has colour #{stranger:06x}, which stands for no ID")
    return LabelValues(tuple(range(1, len(found) + 1)), tuple(sorted(found)), "colours")


def _blends(thin: Mapping[int, int], solid: Sequence[int]) -> bool:
    """Whether colours, with their pixels, are for the most part mixtures of two that cover areas."""
    ends = np.array([[colour >> shift & 255 for shift in (16, 8, 0)] for colour in solid], float)
    first, second = np.triu_indices(len(ends), 1)
    start, span = ends[first], ends[second] - ends[first]
    length = np.maximum((span**2).sum(axis=1), 1)
    mixed = 0
    for colour, pixels in thin.items():
        point = np.array([colour >> shift & 255 for shift in (16, 8, 0)], float) - start
        share = np.clip((point * span).sum(axis=1) / length, 0, 1)
        if (np.abs(point - share[:, None] * span).max(axis=1) <= COLOUR_TOLERANCE).any():
            mixed += pixels
    return mixed > 0.9 * sum(thin.values())


def _list(values: Iterable[int]) -> str:
    values = list(values)
    return ", ".join(map(str, values[:8])) + (", ..." if len(values) > 8 else "")
