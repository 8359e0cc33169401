"""The stamp of a serialised message, read without the rest of it."""

from __future__ import annotations

import struct


def stamp_of(data: bytes | memoryview) -> int:
    """Stamp of a serialised message that begins with a header, ns. Raises struct.error or IndexError: it is cut off."""
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(seconds * 1_000_000_000 + nanoseconds)
