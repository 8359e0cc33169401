"""COCO's run lengths of masks in JSON: {"size": [height, width], "counts": run lengths}.

Counts are a list of numbers, or a string that packs them (pycocotools' compressed form: from the fourth on, each is the
difference to the second last; five bits per character, lowest first; the sixth bit is a continuation flag). Unlike
pycocotools, which leaves pixels undefined if counts don't add up, this decoder validates its input.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sam2_ros.tracking import rle


def encode(mask: np.ndarray) -> dict[str, Any]:
    """Encode a mask, bool [H, W], with packed counts."""
    return {"size": list(mask.shape), "counts": packed(rle.encode(mask))}


def packed(counts: np.ndarray) -> str:
    """Pack the run lengths of a mask, [K] as `rle.encode` gives them, into a string."""
    lengths = counts.tolist()
    characters = []
    for index, count in enumerate(lengths):
        rest = count - lengths[index - 2] if index > 2 else count
        while True:
            low, rest = rest & 31, rest >> 5
            more = rest != (-1 if low & 16 else 0)  # the fifth bit is the sign
            characters.append(chr(48 + low + 32 * more))
            if not more:
                break
    return "".join(characters)


def decode(value: Any, size: tuple[int, int]) -> np.ndarray:
    """Decode a mask: bool [H, W].

    Args:
        value: run lengths with counts in either form.
        size: expected height and width.

    Raises:
        ValueError: the value is invalid, or of another size.
    """
    return rle.decode(counts(value, size), *size)


def counts(value: Any, size: tuple[int, int]) -> np.ndarray:
    """The run lengths of a mask, int64. Arguments and errors are those of `decode`."""
    if not isinstance(value, dict) or "counts" not in value:
        raise ValueError("run lengths must be {'size': [height, width], 'counts': ...}")
    if "size" in value and whole(value["size"]) != list(size):
        raise ValueError(f"the mask is of size {value['size']} instead of {list(size)} (height, width)")
    packed = value["counts"]
    lengths = _unpacked(packed) if isinstance(packed, str) else whole(packed)
    if lengths is None:
        raise ValueError("the counts of run lengths must be a string or a list of whole numbers")
    pixels = size[0] * size[1]
    if not len(lengths) or min(lengths) < 0 or max(lengths) > pixels or sum(lengths) != pixels:
        raise ValueError(f"the run lengths do not add up to {size[1]} x {size[0]} pixels")
    return np.array(lengths, np.int64)


def whole(values: Any) -> list[int] | None:
    """Whole numbers, written as 48, 48.0 or "48"; None if there are other values."""
    try:
        numbers = [float(value) for value in values] if isinstance(values, (list, tuple)) else [0.5]
    except (TypeError, ValueError, OverflowError):
        return None
    return [int(number) for number in numbers] if all(number.is_integer() for number in numbers) else None


def _unpacked(text: str) -> list[int]:
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.int64) - 48
    wrong = (codes < 0) | (codes > 63)
    if wrong.any():
        raise ValueError(f"the packed run lengths have an invalid character {text[wrong.argmax()]!r}")
    if not len(codes):
        return []
    last = np.flatnonzero(codes & 32 == 0)
    if not len(last) or last[-1] != len(codes) - 1:
        raise ValueError("the packed run lengths are cut off")
    first = np.concatenate([[0], last[:-1] + 1]).astype(np.int64)
    shift = 5 * (np.arange(len(codes)) - np.repeat(first, last - first + 1))
    if (shift > 50).any():
        raise ValueError("the run lengths do not add up: there is one of more than 55 bits")
    numbers = np.add.reduceat((codes & 31) << shift, first)
    numbers -= np.where(codes[last] & 16, np.int64(32) << shift[last], 0)  # the sign
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers.tolist()
