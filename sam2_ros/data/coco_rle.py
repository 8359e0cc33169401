"""Masks as COCO writes them into JSON: {"size": [height, width], "counts": run lengths}.

The counts are a list of numbers, or a string that packs them (pycocotools' compressed form: from the fourth on, each is
the difference to the one two before; five bits a character, the lowest first; a sixth bit says that more follow).
pycocotools reads the same, but trusts what it is given: counts of another sum leave pixels undefined.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sam2_ros.tracking import rle


def encode(mask: np.ndarray) -> dict[str, Any]:
    """A mask, bool [H, W], in the packed form."""
    counts = rle.encode(mask).tolist()
    characters = []
    for index, count in enumerate(counts):
        rest = count - counts[index - 2] if index > 2 else count
        while True:
            low, rest = rest & 31, rest >> 5
            more = rest != (-1 if low & 16 else 0)  # the fifth bit is the sign
            characters.append(chr(48 + low + 32 * more))
            if not more:
                break
    return {"size": list(mask.shape), "counts": "".join(characters)}


def decode(value: Any, size: tuple[int, int]) -> np.ndarray:
    """The mask, bool [H, W].

    Args:
        value: with counts of either form.
        size: height and width that it must have.

    Raises:
        ValueError: it is of another size, or no such value.
    """
    if not isinstance(value, dict) or not {"size", "counts"} <= value.keys():
        raise ValueError("run lengths must be {'size': [height, width], 'counts': ...}")
    if value["size"] != list(size):
        raise ValueError(f"the mask is of size {value['size']} instead of {list(size)} (height, width)")
    counts = value["counts"]
    if isinstance(counts, str):
        counts = _unpacked(counts)
    elif not isinstance(counts, list) or not all(type(count) is int for count in counts):
        raise ValueError("the counts of run lengths must be a string or a list of whole numbers")
    if min(counts, default=0) < 0 or sum(counts) != size[0] * size[1]:
        raise ValueError(f"the run lengths do not add up to {size[1]} x {size[0]} pixels")
    return rle.decode(np.array(counts, np.int64), *size)


def _unpacked(text: str) -> list[int]:
    counts: list[int] = []
    number = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise ValueError(f"the run lengths have a character {character!r} that packed counts do not have")
        number |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                number -= 1 << shift
            counts.append(number + counts[-2] if len(counts) > 2 else number)
            number = shift = 0
    if shift:
        raise ValueError("the run lengths break off")
    return counts
