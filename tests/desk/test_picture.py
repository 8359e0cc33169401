"""Pictures as messages."""

from __future__ import annotations

import json
import struct

from sam2_ros.desk.picture import Picture


def test_message_is_length_header_jpeg() -> None:
    header = {"type": "frame", "key": "/sam2", "label": "ü"}
    message = Picture(header, b"\xff\xd8jpeg").message
    (length,) = struct.unpack(">I", message[:4])
    assert json.loads(message[4 : 4 + length]) == header
    assert message[4 + length :] == b"\xff\xd8jpeg"


def test_message_is_encoded_once() -> None:
    picture = Picture({"type": "frame"}, b"jpeg")
    assert picture.message is picture.message
