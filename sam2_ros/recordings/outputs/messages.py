"""The messages of a run, serialised: those that the live node publishes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sam2_ros.data.bag_types import typestore
from sam2_ros.recordings.masklet_store import StoredFrame, StoredMask
from sam2_ros.tracking import rle
from sam2_ros.tracking.masklet import BOX_MIN_PART, Masklet
from sam2_ros.tracking.prompt import Box, Prompt

MASKLETS = "sam2_ros/msg/MaskletArray"
PROMPTS = "sam2_ros/msg/PromptArray"
JPEG = "sensor_msgs/msg/CompressedImage"


class Messages:
    """Makes the messages of one camera.

    Args:
        frame_id: of the camera.
        labels: of objects, by ID.

    Raises:
        FileNotFoundError: the message definitions are not installed.
    """

    def __init__(self, frame_id: str, labels: Mapping[int, str]) -> None:
        self._store = typestore()
        self._types: dict[str, Any] = self._store.types
        self._frame_id = frame_id
        self._labels = labels

    def masklets(self, frame: StoredFrame) -> bytes:
        """A MaskletArray of all masks on a frame, as `ros/masklets.py` makes it."""
        masklets = [self._masklet(mask, frame.height, frame.width) for mask in frame.masks]
        array = self._types[MASKLETS](self._header(frame.stamp), frame.height, frame.width, masklets)
        return bytes(self._store.serialize_cdr(array, MASKLETS))

    def prompt(self, prompt: Prompt, stamp: int) -> bytes:
        """A PromptArray of one prompt, checked, on the image of a stamp, as `ros/prompts.py` makes it."""
        types = self._types
        x, y, width, height = map(round, prompt.box or (0, 0, 0, 0))
        mask = np.zeros((0, 0), np.uint8) if prompt.mask is None else prompt.mask.astype(np.uint8) * 255
        rows, columns = mask.shape
        given = prompt.mask is not None
        message = types["sam2_ros/msg/Prompt"](
            object_id=prompt.object_id,
            label=prompt.label,
            clicks=[types["sam2_ros/msg/Click"](float(one.x), float(one.y), one.positive) for one in prompt.clicks],
            box=types["sensor_msgs/msg/RegionOfInterest"](x, y, height, width, False),
            mask=types["sensor_msgs/msg/Image"](
                self._header(0, ""), rows, columns, "mono8" if given else "", 0, columns, mask.reshape(-1)
            ),
            replace=prompt.replace,
        )
        array = types[PROMPTS](self._header(stamp), [message])
        return bytes(self._store.serialize_cdr(array, PROMPTS))

    def jpeg(self, data: bytes, stamp: int) -> bytes:
        """A CompressedImage of a JPEG file's content."""
        pixels = np.frombuffer(data, np.uint8)
        image = self._types[JPEG](self._header(stamp), "rgb8; jpeg compressed bgr8", pixels)
        return bytes(self._store.serialize_cdr(image, JPEG))

    def _masklet(self, mask: StoredMask, height: int, width: int) -> Any:
        x, y, box_width, box_height = map(int, box(mask.counts, height) if mask.present else (0, 0, 0, 0))
        return self._types["sam2_ros/msg/Masklet"](
            object_id=mask.object_id,
            label=self._labels.get(mask.object_id, ""),
            present=mask.present,
            presence=mask.presence,
            iou=mask.iou,
            box=self._types["sensor_msgs/msg/RegionOfInterest"](x, y, box_height, box_width, False),
            mask=self._types["sam2_ros/msg/Mask"](height, width, mask.counts),
        )

    def _header(self, stamp: int, frame_id: str | None = None) -> Any:
        time = self._types["builtin_interfaces/msg/Time"](*divmod(stamp, 1_000_000_000))
        return self._types["std_msgs/msg/Header"](time, self._frame_id if frame_id is None else frame_id)


def box(counts: np.ndarray, height: int, box_min_part: float = BOX_MIN_PART) -> Box:
    """`Masklet.box` of run lengths, uint32 [K], of which only the rectangle with pixels is decoded."""
    ends = np.cumsum(counts, dtype=np.int64)
    if len(ends) < 2:
        return Box(0, 0, 0, 0)
    count = len(ends) // 2 * 2  # without the zeros behind the last pixel
    starts, lasts = ends[0:count:2], ends[1:count:2] - 1
    left = int(starts[0]) // height
    width = int(lasts[-1]) // height + 1 - left
    rows, last_rows = starts % height, lasts % height
    whole = bool((starts // height != lasts // height).any())  # runs that reach the lowest row and go on in the first
    top, bottom = (0, height - 1) if whole else (int(rows.min()), int(last_rows.max()))
    inside = counts[:count].astype(np.int64)
    inside[0] -= left * height
    part = rle.decode(np.append(inside, width * height - int(inside.sum())), height, width)[top : bottom + 1]
    found = Masklet(0, "", True, 1.0, 1.0, np.ascontiguousarray(part), box_min_part).box
    return found._replace(x=found.x + left, y=found.y + top)
