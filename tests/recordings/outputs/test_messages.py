"""Messages of a run are those that the live node publishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_runs import LABELS, make_run, masklets, prompts
from small_clips import make_clip

from sam2_ros.data.bag_types import typestore
from sam2_ros.recordings.masklet_store import StoredMask
from sam2_ros.recordings.outputs import messages
from sam2_ros.recordings.outputs.messages import JPEG, MASKLETS, PROMPTS, Messages
from sam2_ros.tracking import rle
from sam2_ros.tracking.masklet import Frame, Masklet


def published(message: Any) -> bytes:
    """A message of rclpy, serialised as DDS carries it."""
    serialize = pytest.importorskip("rclpy.serialization").serialize_message
    return bytes(serialize(message))


def same(ours: bytes, theirs: bytes, kind: str) -> None:
    """Equal in every field. Bytes may differ in padding, which rmw leaves undefined."""
    ours_read, theirs_read = (fields(typestore().deserialize_cdr(data, kind)) for data in (ours, theirs))
    assert ours_read == theirs_read


def fields(message: Any) -> Any:
    if isinstance(message, list):
        return [fields(one) for one in message]
    if isinstance(message, np.ndarray):
        return message.tolist()
    names = getattr(message, "__dataclass_fields__", None)
    return {name: fields(getattr(message, name)) for name in names} if names else message


def header(stamp: int) -> Any:
    time = pytest.importorskip("builtin_interfaces.msg").Time(sec=stamp // 10**9, nanosec=stamp % 10**9)
    return pytest.importorskip("std_msgs.msg").Header(stamp=time, frame_id="camera")


def test_masklets_are_equal_to_the_nodes(tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    from sam2_ros.ros.masklets import to_array

    clip = make_clip(overlap=True)
    run = make_run(tmp_path, clip)
    ours = Messages("camera", run.store.labels)
    count = 0
    for stored in run.store.frames():
        frame = Frame(stored.stamp, stored.height, stored.width, tuple(masklets(clip, stored.frame)))
        same(ours.masklets(stored), published(to_array(frame, header(stored.stamp))), MASKLETS)
        count += 1
    assert count == len(clip)


def test_prompts_are_equal_to_the_nodes() -> None:
    pytest.importorskip("rclpy")
    from sam2_ros import msg
    from sam2_ros.ros.prompts import to_message

    clip = make_clip()
    stamp = 3_000_000_007
    for scheduled in prompts(clip):
        prompt = scheduled.prompt.checked(48, 64)
        theirs = msg.PromptArray(header=header(stamp), prompts=[to_message(prompt, prompt.object_id)])
        same(Messages("camera", LABELS).prompt(prompt, stamp), published(theirs), PROMPTS)


def test_jpegs_are_compressed_images() -> None:
    read: Any = typestore().deserialize_cdr(Messages("left", {}).jpeg(b"\xff\xd8pixels", 1_500_000_000), JPEG)
    assert (read.header.frame_id, read.header.stamp.sec, read.header.stamp.nanosec) == ("left", 1, 500_000_000)
    assert bytes(read.data) == b"\xff\xd8pixels" and "jpeg" in read.format


@pytest.mark.parametrize("seed", range(20))
def test_box_is_that_of_the_whole_mask(seed: int) -> None:
    """Of masks in all places, also at the borders of the image, with parts that count and parts that don't."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((23, 31), bool)
    for _ in range(seed % 4):
        top, left = rng.integers(-3, 23), rng.integers(-3, 31)
        mask[max(top, 0) : top + rng.integers(1, 12), max(left, 0) : left + rng.integers(1, 12)] = True
    if seed % 5 == 0:  # runs over whole columns, and around the lower edge
        mask[:, 4:7] = mask[20:, 15] = mask[:3, 16] = True
    mask ^= rng.random(mask.shape) < 0.01 * (seed % 3)
    stored = StoredMask(0, 1, True, 1.0, 1.0, rle.encode(mask))
    assert messages.box(stored.counts, 23) == Masklet(1, "", True, 1.0, 1.0, mask, 0.1).box
