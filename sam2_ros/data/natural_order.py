"""Natural order of names with numbers: frame_2 before frame_10. For frames, masks, videos, clips and bags."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from pathlib import PurePath

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")  # a name that is a number
# A stamp in seconds has a fraction: 1700000000.5 is after 1700000000.25. In other names a point separates numbers:
# cam0.9 is before cam0.10.
_PARTS = re.compile(r"(\d{9,}\.\d+(?!\.?\d)|\d+)")

Key = tuple[object, ...]


def natural(name: str | PurePath) -> Key:
    """Sort key of a name, or of a file's path: first by folders, last by suffix.

    Numbers anywhere in a name are compared by value, and come before letters, which are compared without case. A name
    that is a number may have a sign and a fraction. Ties (1 and 01, a and A) are resolved by characters, so the order
    doesn't depend on that of the file system.
    """
    if isinstance(name, PurePath):
        return tuple(map(natural, (*name.parts[:-1], name.stem))), name.suffix
    folded = unicodedata.normalize("NFC", name).casefold()
    if _NUMBER.fullmatch(folded):
        return ((0, Decimal(folded), ""),), name
    parts = (part for part in _PARTS.split(folded) if part)
    return tuple((0, Decimal(part), "") if part[0].isdecimal() else (1, 0, part) for part in parts), name
