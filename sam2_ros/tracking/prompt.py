"""Prompts: clicks, a box or a mask of an object."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

MAX_CLICKS = 64
"""Maximum number of clicks of one object on one frame."""

MAX_OBJECT_ID = 2**16 - 1
"""Maximum ID of an object: label images have 16 bits a pixel."""

MAX_LABEL = 256
"""Maximum number of letters of an object's label."""

MASK_VALUES = 32
"""Maximum number of values of a mask that is a label image."""

CLICK_FORM = "a click is (x, y) or (x, y, positive), column and row in pixels, positive True or False"
BOX_FORM = "a box is (x, y, width, height) in pixels, (x, y) its top-left corner; Box.from_corners takes two corners"
MASK_FORM = "a mask is a bool or integer array [H, W] of the image's size, non-zero on the object"


class PromptError(ValueError):
    """A prompt cannot be applied; the message says why and what to do. Tracked objects are unchanged."""


class SmallMaskError(PromptError):
    """A mask prompt covers too few pixels for the network to track."""


class Click(NamedTuple):
    """A point on the object (positive) or beside it, in pixels of the image: column and row, (0, 0) the first pixel."""

    x: float
    y: float
    positive: bool = True


class Box(NamedTuple):
    """A rectangle in pixels of the image: top-left corner and size."""

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def from_corners(cls, left: float, top: float, right: float, bottom: float) -> Box:
        """The box between two corners, as other libraries write boxes (xyxy)."""
        left, top, right, bottom = (float(side) for side in (left, top, right, bottom))  # unsigned ones would wrap
        return cls(left, top, right - left, bottom - top)


@dataclass(frozen=True, eq=False)
class Prompt:
    """A prompt for one object on one frame. Clicks, box and mask may be combined."""

    object_id: int = 0
    """ID of the object. 0: a new object, which gets the next free ID. An ID that is not tracked yet starts an
    object."""
    clicks: Sequence[Click] = ()
    """Clicks, which may be `Click`s, (x, y) or (x, y, positive); or a single click; or an array or tensor [N, 2] or
    [N, 3]."""
    box: Box | None = None
    """Box, which may be four numbers x, y, width, height, in a sequence, an array or a tensor."""
    mask: np.ndarray | None = None
    """Mask, bool or integers [H, W] of the image's size, non-zero on the object; also as a torch tensor, a PIL image
    with one channel, or with a first or last axis of length 1. Logits and probabilities have to be thresholded first
    (mask > 0)."""
    label: str = ""
    """Label of the object; empty: keep its current one. Alone, with the ID of a tracked object: its new label."""
    replace: bool = False
    """Forget the object's memory and earlier prompts, and start again from this prompt."""

    @property
    def only_names(self) -> bool:
        """Whether it gives an object another label, and nothing else."""
        points_at_nothing = self.box is None and self.mask is None and not len(_clicks(self.clicks))
        return points_at_nothing and bool(self.object_id and self.label and not self.replace)

    def checked(self, height: int, width: int, may_name: bool = False) -> Prompt:
        """The prompt for an image of this size: `Click`s, a `Box` cut to the image, and a copied bool mask.

        Args:
            may_name: a label alone is a prompt, too, for an object that is tracked.

        Raises:
            PromptError: nothing is prompted, something is of another form, numbers are not finite, something lies
                outside the image, or the label is too long.
        """
        object_id = _object_id(self.object_id)
        label = "" if self.label is None else self.label
        if not isinstance(label, str):
            raise PromptError(f"the label is {describe(label)}; it must be a str")
        label = str(label)  # NumPy's strings are str, too
        if "\0" in label or any("\ud800" <= letter <= "\udfff" for letter in label):
            raise PromptError(f"the label {describe(label)} cannot be sent as UTF-8; leave out NUL and surrogates")
        if len(label) > MAX_LABEL:
            raise PromptError(f"a label of {len(label)} letters; at most {MAX_LABEL} are possible")
        if (forget := flag(self.replace)) is None:
            raise PromptError(f"replace is {describe(self.replace)}; it must be True or False")
        clicks = _clicks(self.clicks)
        if not clicks and self.box is None and self.mask is None and not (may_name and self.only_names):
            raise PromptError("the prompt is empty; give at least one click, a box or a mask")
        if len(clicks) > MAX_CLICKS:
            raise PromptError(f"{len(clicks)} clicks on one frame; at most {MAX_CLICKS} are used")
        for click in clicks:
            if not (math.isfinite(click.x) and math.isfinite(click.y)):
                raise PromptError(f"click ({click.x}, {click.y}) is not finite")
            if not (0 <= click.x < width and 0 <= click.y < height):
                raise PromptError(f"click ({click.x:g}, {click.y:g}) is outside the image of {width} x {height} pixels")
        return replace(
            self,
            object_id=object_id,
            clicks=clicks,
            box=None if self.box is None else _box(self.box, height, width),
            mask=None if self.mask is None else _mask(self.mask, height, width),
            label=label,
            replace=forget,
        )


def describe(value: object) -> str:
    """Describe a value for error messages: its type, and the value itself if it is short."""
    if hasattr(value, "dtype") and isinstance(shape := getattr(value, "shape", None), tuple):
        return f"{type(value).__name__} of {value.dtype} {list(shape)}"
    text = repr(value)
    return f"{text if len(text) <= 40 else text[:37] + '...'} ({type(value).__name__})"


def _plain(value: Any) -> Any:
    """Arrays, tensors and NumPy's numbers as Python's lists and numbers; any other value unchanged."""
    if isinstance(value, (Click, Box, str, bytes)):
        return value
    if hasattr(value, "tolist"):  # NumPy and PyTorch, wherever the tensor is
        return value.tolist()
    return value


def _number(value: Any) -> float | None:
    """The value as a real number; None: it is none."""
    value = _plain(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def flag(value: Any) -> bool | None:
    """The value as a bool, also from 1 and 0; None: it is neither."""
    value = _plain(value)
    return bool(value) if isinstance(value, Real) and value in (0, 1) else None


def whole_number(value: Any) -> int | None:
    """An integer of any type (Python's, NumPy's, a tensor's) as Python's int, which never wraps; None: it is none."""
    try:
        return None if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        return None


def _object_id(value: Any) -> int:
    if value is None:
        return 0
    object_id = whole_number(value)
    if object_id is None:
        raise PromptError(
            f"object_id is {describe(value)}; it must be a whole number, 1 .. {MAX_OBJECT_ID}, 0 for a new object"
        )
    if not 0 <= object_id <= MAX_OBJECT_ID:
        raise PromptError(f"object_id {object_id} is out of range; use 1 .. {MAX_OBJECT_ID}, 0 for a new one")
    return object_id


def _clicks(value: Any) -> tuple[Click, ...]:
    """Clicks of any form, or a single one."""
    if value is None:
        return ()
    if isinstance(value, (str, bytes, dict)) or not isinstance(value := _plain(value), Iterable):
        raise PromptError(f"clicks are {describe(value)}; give a list of clicks: {CLICK_FORM}")
    entries = [_plain(entry) for entry in value]
    if entries and _number(entries[0]) is not None:
        entries = [entries]  # one click, not in a list
    return tuple(_click(entry) for entry in entries)


def _click(entry: Any) -> Click:
    parts = tuple(entry) if isinstance(entry, (tuple, list)) else ()
    if len(parts) not in (2, 3):
        raise PromptError(f"a click is given as {describe(entry)}; {CLICK_FORM}")
    x, y = _number(parts[0]), _number(parts[1])
    positive = flag(parts[2]) if len(parts) == 3 else True
    if x is None or y is None or positive is None:
        raise PromptError(f"a click is given as {describe(entry)}; {CLICK_FORM}")
    return Click(x, y, positive)


def _box(value: Any, height: int, width: int) -> Box:
    """A box of any form, cut to the image."""
    sides = _plain(value)
    if isinstance(sides, (list, tuple)) and len(sides) == 1 and isinstance(sides[0], (list, tuple)):
        sides = sides[0]  # one box in a list of boxes
    values = [_number(side) for side in sides] if isinstance(sides, (list, tuple)) else []
    numbers = [number for number in values if number is not None]
    if len(values) != 4 or len(numbers) != 4:
        raise PromptError(f"the box is given as {describe(value)}; {BOX_FORM}")
    box = Box(*numbers)
    if not all(math.isfinite(side) for side in box):
        raise PromptError(f"box {_text(box)} is not finite")
    if box.width < 1 or box.height < 1:
        raise PromptError(f"box {_text(box)} of {box.width:g} x {box.height:g} pixels has no size; {BOX_FORM}")
    left, top = max(box.x, 0.0), max(box.y, 0.0)
    right, bottom = min(box.x + box.width, width), min(box.y + box.height, height)
    if right - left < 1 or bottom - top < 1:
        raise PromptError(f"box {_text(box)} is outside the image of {width} x {height} pixels; {BOX_FORM}")
    # A Box names its numbers. Four plain numbers that only fit as two corners are most likely corners.
    beyond = box.x + box.width > width + 1 or box.y + box.height > height + 1
    corners = box.x < box.width <= width and box.y < box.height <= height
    if beyond and corners and not isinstance(value, Box):
        raise PromptError(
            f"box {_text(box)} reaches beyond the image of {width} x {height} pixels; {BOX_FORM}."
            f" If that is intended, give Box{_text(box)}, which is cut to the image"
        )
    return Box(left, top, right - left, bottom - top)


def _text(box: Box) -> str:
    return "(" + ", ".join(f"{side:g}" for side in box) + ")"


def _mask(value: Any, height: int, width: int) -> np.ndarray:
    """A mask of any form as bool [H, W], which shares no memory with the argument."""
    if isinstance(value, (str, bytes, dict)) or hasattr(value, "__fspath__"):
        raise PromptError(f"the mask is given as {describe(value)}; {MASK_FORM}")
    try:
        if hasattr(value, "detach"):  # PyTorch, on a GPU too
            value = value.detach().cpu()
            value = value.float() if value.is_floating_point() else value  # NumPy does not know bfloat16
        if isinstance(value, np.ma.MaskedArray):
            value = value.filled(0)  # masked-out pixels are not on the object
        mask = np.asarray(value)
    except Exception as error:  # a foreign type may raise anything on conversion to an array
        raise PromptError(f"the mask is given as {describe(value)}; {MASK_FORM}") from error
    if mask.dtype.kind == "f":
        raise PromptError(
            f"the mask holds {mask.dtype}, whose values need a threshold; give mask > 0 for logits,"
            " mask > 0.5 for probabilities"
        )
    if mask.dtype.kind not in "biu":
        raise PromptError(f"the mask holds {mask.dtype} {list(mask.shape)}; {MASK_FORM}")
    if mask.shape in ((1, height, width), (height, width, 1)):
        mask = mask.reshape(height, width)
    elif mask.ndim == 3 and 1 in (mask.shape[0], mask.shape[2]):
        mask = mask[0] if mask.shape[0] == 1 else mask[..., 0]
    if mask.ndim != 2:
        raise PromptError(f"the mask has the shape {list(mask.shape)}, but it is of one object; {MASK_FORM}")
    if mask.shape != (height, width):
        raise PromptError(
            f"mask of {mask.shape[1]} x {mask.shape[0]} pixels for an image of {width} x {height}; they must have the"
            " same size"
        )
    if mask.dtype.kind == "i" and mask.min() < 0:
        raise PromptError(f"the mask holds {mask.min()}; negative numbers mean nothing in it, give mask > 0")
    inside = mask.astype(bool)
    if not inside.any():
        raise PromptError("the mask is empty; set the object's pixels to a value other than 0")
    half = mask.max() // 2
    if np.count_nonzero(inside) > 1.5 * np.count_nonzero(mask > half) and len(np.unique(mask)) > MASK_VALUES:
        raise PromptError(
            f"the mask is faint in most places and has {len(np.unique(mask))} values, as a picture of probabilities"
            f" has; give mask > {half}, or mask > 0 if all of it is on the object"
        )
    return inside
