"""Depth messages of all encodings, and those that are refused."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from sam2_ros.data.compressed_image import ImageError
from sam2_ros.data.depth_message import depth_of

MILLIMETRES = np.random.default_rng(0).integers(0, 65536, (6, 9), dtype=np.uint16)
METRES = np.array([[0.5, np.nan, 2.25], [np.inf, 0.0, 7.5]], np.float32)


def raw(depth: np.ndarray, encoding: str, big: bool = False, padding: int = 0, **changes: object) -> SimpleNamespace:
    rows = depth.astype(depth.dtype.newbyteorder(">" if big else "<"))
    data = b"".join(row.tobytes() + b"\xff" * padding for row in rows)
    step = depth.shape[1] * depth.itemsize + padding
    numbers = {"height": depth.shape[0], "width": depth.shape[1], "step": step, "is_bigendian": int(big)}
    return SimpleNamespace(**{"encoding": encoding, "data": data, **numbers, **changes})


def compressed(
    values: np.ndarray, encoding: str, a: float = 0.0, b: float = 0.0, codec: str = " png"
) -> SimpleNamespace:
    data = struct.pack("<iff", 0, a, b) + cv2.imencode(".png", values)[1].tobytes()
    return SimpleNamespace(format=f"{encoding}; compressedDepth{codec}", data=data)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("padding", [0, 6])
def test_raw_depth(big: bool, padding: int) -> None:
    for depth, encoding in ((MILLIMETRES, "16UC1"), (MILLIMETRES, "mono16"), (METRES, "32FC1")):
        read = depth_of(raw(depth, encoding, big, padding))
        assert read.dtype == depth.dtype and np.array_equal(read, depth, equal_nan=True)


@pytest.mark.parametrize("codec", [" png", ""])
def test_compressed_millimetres(codec: str) -> None:
    assert np.array_equal(depth_of(compressed(MILLIMETRES, "16UC1", codec=codec)), MILLIMETRES)


def test_compressed_metres_are_inverse_depth() -> None:
    """As compressed_depth_image_transport writes them, with its defaults: 10 m at most, 100 steps."""
    depth = np.array([[0.4, 1.0, 2.0], [5.0, 9.9, np.nan]], np.float32)
    a = 100.0 * 101.0
    b = 1.0 - a / 10.0
    with np.errstate(invalid="ignore"):
        values = np.where(depth < 10.0, a / depth + b, 0).astype(np.uint16)
    read = depth_of(compressed(values, "32FC1", a, b))
    assert read.dtype == np.float32 and np.isnan(read[1, 2])
    assert read.ravel()[:5] == pytest.approx(depth.ravel()[:5], rel=0.01)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (raw(MILLIMETRES, "bgr8"), "'bgr8' is not depth; known: 16UC1"),
        (raw(MILLIMETRES, "16UC1", height=0), "no size"),
        (raw(MILLIMETRES, "16UC1", step=4), "step is 4 bytes"),
        (raw(MILLIMETRES, "16UC1", height=7), "cut off: 108 bytes instead of 126"),
        (raw(MILLIMETRES, "16UC1", width=100_000, height=100_000), "pixels"),
        (compressed(MILLIMETRES, "rgb8"), "not that of compressed depth"),
        (compressed(MILLIMETRES, "16UC1", codec=" rvl"), "'rvl' cannot be read; set"),
        (SimpleNamespace(format="16UC1; jpeg compressed", data=b""), "connect <depth topic>/compressedDepth"),
        (SimpleNamespace(format="16UC1; compressedDepth png", data=b"12345"), "cut off"),
        (SimpleNamespace(format="16UC1; compressedDepth png", data=bytes(400)), "cannot be decoded"),
        (compressed(MILLIMETRES.astype(np.uint8), "16UC1"), "16-bit grey"),
        (compressed(np.dstack(3 * [MILLIMETRES]), "32FC1"), "16-bit grey"),
    ],
)
def test_other_messages_are_refused(message: SimpleNamespace, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        depth_of(message)
