"""The order of names with numbers in them: frame_2 before frame_10. One for frames, masks, videos, clips and bags."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from pathlib import PurePath

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")  # a name that is one
# A stamp in seconds has a fraction: 1700000000.5 is after 1700000000.25. In other names a point sets numbers apart:
# cam0.9 comes before cam0.10.
_PARTS = re.compile(r"(\d{9,}\.\d+(?!\.?\d)|\d+)")

Key = tuple[object, ...]


def natural(name: str | PurePath) -> Key:
    """A key to sort names by, or paths of files: first by their folders, last by the suffix.

    Numbers count by their value, wherever they are in the name, and come before letters, which count alike in capitals.
    A name that is nothing but a number may have a sign and a fraction. Where that leaves two names alike (1 and 01, a
    and A), they go by their characters, so that the order doesn't depend on the one in which they are found.
    """
    if isinstance(name, PurePath):
        return tuple(map(natural, (*name.parts[:-1], name.stem))), name.suffix
    folded = unicodedata.normalize("NFC", name).casefold()
    if _NUMBER.fullmatch(folded):
        return ((0, Decimal(folded), ""),), name
    parts = (part for part in _PARTS.split(folded) if part)
    return tuple((0, Decimal(part), "") if part[0].isdecimal() else (1, 0, part) for part in parts), name
