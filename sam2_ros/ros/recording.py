"""Recordings: the images, prompts, results and masklets in a bag."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from sam2_ros.data.image_message import to_rgb
from sam2_ros.tracking import rle
from sam2_ros.tracking.masklet import Frame, Masklet


@dataclass(frozen=True)
class Answer:
    """A recorded PromptResult."""

    stamp: int
    """Stamp of the prompted image, ns."""
    received: int
    """Time of receipt by the recorder, ns."""
    object_id: int
    accepted: bool
    message: str


@dataclass
class Recording:
    """The messages of a bag. Stamps are those of the images; times of receipt are by the recorder's clock; both ns."""

    images: dict[int, Any] = field(default_factory=dict)
    """CompressedImage messages by stamp."""
    prompts: list[tuple[int, int]] = field(default_factory=list)
    """Stamp and time of receipt of every PromptArray."""
    answers: list[Answer] = field(default_factory=list)
    frames: dict[int, Frame] = field(default_factory=dict)
    """The content of each MaskletArray, by stamp."""
    frames_received: dict[int, int] = field(default_factory=dict)
    """Time of receipt of each MaskletArray, by stamp."""

    def image(self, stamp: int) -> np.ndarray:
        """The pixels of an image, uint8 [H, W, 3] RGB. Raises ImageError if it cannot be decoded."""
        return to_rgb(self.images[stamp])

    @property
    def latencies(self) -> np.ndarray:
        """Time from an image's stamp to the receipt of its masklets, ms, in order of stamps.

        Not from the receipt of the image: DDS may deliver it to the recorder later than to the node, even after its
        masklets.
        """
        stamps = sorted(self.images.keys() & self.frames_received.keys())
        return np.array([self.frames_received[stamp] - stamp for stamp in stamps]) / 1e6


def read_recording(bag: Path) -> Recording:
    """Reads compressed images, PromptArray, PromptResult and MaskletArray messages of a bag, whatever their topics.

    The node's applied_prompts are not read.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the bag cannot be read.
    """
    if not bag.is_dir():
        raise FileNotFoundError(f"{bag} is not a bag: there is no such folder")
    if not (bag / "metadata.yaml").is_file():
        command = f"sam2_ros recover {bag}"
        advice = f"; `{command}` completes recordings that were cut off" if any(bag.glob("*.mcap")) else ""
        raise ValueError(f"{bag} has no metadata.yaml{advice}")
    recording = Recording()
    try:
        with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
            for connection, received, data in reader.messages():
                kind = connection.msgtype.rsplit("/", 1)[1]
                is_read = kind in ("CompressedImage", "PromptArray", "PromptResult", "MaskletArray")
                if is_read and not connection.topic.endswith("/applied_prompts"):
                    _add(recording, kind, received, reader.deserialize(data, connection.msgtype))
    except Exception as error:  # rosbags lets errors of its parsers and decompressors through
        raise ValueError(f"{bag} cannot be read: {error or type(error).__name__}") from error
    return recording


def _add(recording: Recording, kind: str, received: int, message: Any) -> None:
    stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
    if kind == "CompressedImage":
        recording.images[stamp] = message
    elif kind == "PromptArray":
        recording.prompts.append((stamp, received))
    elif kind == "PromptResult":
        answer = Answer(stamp, received, message.object_id, message.accepted, message.message)
        recording.answers.append(answer)
    else:
        masklets = tuple(_masklet(masklet, message.height, message.width) for masklet in message.masklets)
        recording.frames[stamp] = Frame(stamp, message.height, message.width, masklets)
        recording.frames_received[stamp] = received


def _masklet(message: Any, height: int, width: int) -> Masklet:
    mask = rle.decode(message.mask.counts, height, width)
    return Masklet(message.object_id, message.label, message.present, message.presence, message.iou, mask)
