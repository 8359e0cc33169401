"""A picture on its way to pages."""

from __future__ import annotations

import struct
from functools import cached_property

from sam2_ros.desk.event import Event, to_json


class Picture:
    """A JPEG with an event about it. Pages that get the same one share its encoding: make one for all of them.

    Args:
        header: an event of type `frame`.
        jpeg: the encoded picture.
    """

    def __init__(self, header: Event, jpeg: bytes) -> None:
        self.header = header
        self.jpeg = jpeg

    @cached_property
    def message(self) -> bytes:
        """What is sent: the length of the header in 4 bytes (big-endian), the header as JSON, and the JPEG.

        Encoded when it first leaves, so that pictures that no page takes cost nothing.
        """
        header = to_json(self.header).encode()
        return b"".join((struct.pack(">I", len(header)), header, self.jpeg))
