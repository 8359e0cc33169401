"""Pixels of image messages, against rosbags-image and against pictures of known colour."""

from __future__ import annotations

import array

import cv2
import numpy as np
import pytest
from rosbags.image import message_to_cvimage
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam2_ros.ros.images import _ENCODINGS, ImageError, mask_of, to_jpeg, to_message, to_rgb

HEIGHT, WIDTH = 12, 16
NOISE = np.random.default_rng(3)
ALIASES = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8"}  # rosbags-image leaves the order of their colours open


def noise(encoding: str, padding: int = 0) -> Image:
    kind, channels, _ = _ENCODINGS[encoding]
    rows = HEIGHT * 3 // 2 if encoding in ("nv12", "nv21") else HEIGHT
    step = WIDTH * channels * np.dtype(kind).itemsize + padding
    data = array.array("B", NOISE.integers(0, 256, rows * step, dtype=np.uint8).tobytes())
    return Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=step, data=data)


@pytest.mark.parametrize("encoding", sorted(_ENCODINGS))
def test_every_encoding_agrees_with_rosbags_image(encoding: str) -> None:
    image = noise(encoding)
    pixels = to_rgb(image)
    assert pixels.dtype == np.uint8 and pixels.shape == (HEIGHT, WIDTH, 3)
    image.encoding = ALIASES.get(encoding, encoding)
    if encoding in ("nv12", "nv21"):
        image.height = HEIGHT * 3 // 2  # what rosbags-image wants, and drivers do not send
    difference = pixels.astype(int) - message_to_cvimage(image, "rgb8")
    assert np.abs(difference).max() <= 1, "16 bits are cut there and rounded here"


@pytest.mark.parametrize("encoding", ["rgb8", "bgra8", "mono8", "mono16", "bayer_rggb8", "nv12", "yuyv"])
def test_padded_rows(encoding: str) -> None:
    padded = noise(encoding, padding=7)
    rows = np.frombuffer(padded.data, np.uint8).reshape(-1, padded.step)[:, :-7]
    plain = noise(encoding)
    plain.data = array.array("B", rows.tobytes())
    assert np.array_equal(to_rgb(padded), to_rgb(plain))
    padded.data = padded.data[:-7]  # the last row may come without
    assert np.array_equal(to_rgb(padded), to_rgb(plain))


def test_byte_order() -> None:
    numbers = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 257
    little, big = (
        Image(height=HEIGHT, width=WIDTH, encoding="mono16", is_bigendian=flag, data=numbers.astype(kind).tobytes())
        for flag, kind in ((0, "<u2"), (1, ">u2"))
    )
    assert np.array_equal(to_rgb(little), to_rgb(big))
    assert np.array_equal(to_rgb(little)[..., 0], np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH))


def test_the_colour_of_a_bayer_image() -> None:
    """Red light falls on the top-left pixel of each four."""
    raw = np.zeros((HEIGHT, WIDTH), np.uint8)
    raw[::2, ::2] = 200
    assert to_rgb(to_message(raw, "bayer_rggb8", Header()))[4, 4].tolist() == [200, 0, 0]
    assert to_rgb(to_message(raw, "bayer_bggr8", Header()))[4, 4].tolist() == [0, 0, 200]


def test_jpeg_and_png() -> None:
    colour = np.full((HEIGHT, WIDTH, 3), (200, 30, 60), np.uint8)
    header = Header(frame_id="eye")
    jpeg = to_jpeg(np.ascontiguousarray(colour[..., ::-1]), header)
    assert jpeg.header == header and np.abs(to_rgb(jpeg).astype(int) - colour).max() < 4
    png = CompressedImage(format="png", data=cv2.imencode(".png", colour[..., 0])[1].tobytes())
    assert np.array_equal(to_rgb(png), np.full((HEIGHT, WIDTH, 3), 200, np.uint8)), "grey ones become RGB, too"


def test_pixels_become_a_message_and_come_back() -> None:
    pixels = NOISE.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    message = to_message(pixels, "rgb8", Header(frame_id="eye"))
    assert (message.height, message.width, message.step) == (HEIGHT, WIDTH, 3 * WIDTH)
    assert np.array_equal(to_rgb(message), pixels)
    labels = NOISE.integers(0, 2**16, (HEIGHT, WIDTH), dtype=np.uint16)
    message = to_message(labels, "mono16", Header())
    assert message.step == 2 * WIDTH
    assert np.array_equal(message_to_cvimage(message), labels)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"encoding": "hsv9"}, "'hsv9' is not known; known: rgb8"),
        ({"encoding": ""}, "'' is not known"),
        ({"encoding": "32FC1"}, "looks like depth"),
        ({"height": 0}, "no size"),
        ({"width": 0}, "no size"),
        ({"data": array.array("B")}, "0 bytes instead of 576"),
        ({"data": array.array("B", bytes(575))}, "575 bytes instead of 576"),
        ({"step": 47}, "step is 47 bytes, but a row of 16 pixels in rgb8 takes 48"),
        ({"step": 2**32 - 1}, "cut off"),
        ({"height": 2**32 - 1, "width": 2**30}, "step"),
        ({"encoding": "uyvy", "width": 15}, "cannot be converted"),
    ],
)
def test_unreadable_images_say_why(change: dict, reason: str) -> None:
    image = noise("rgb8")
    for field, value in change.items():
        setattr(image, field, value)
    with pytest.raises(ImageError, match=reason):
        to_rgb(image)


def test_unreadable_compressed_images_say_why() -> None:
    whole = to_jpeg(np.zeros((HEIGHT, WIDTH, 3), np.uint8), Header()).data
    for data in (b"", b"no picture", bytes(whole[:60])):
        with pytest.raises(ImageError, match=f"{len(data)} bytes of compressed image .'jpeg'. cannot be decoded"):
            to_rgb(CompressedImage(format="jpeg", data=data))


def test_masks_are_grey() -> None:
    assert mask_of(noise("mono8")).shape == (HEIGHT, WIDTH)
    with pytest.raises(ImageError, match="must be mono8, not 'mono16'"):
        mask_of(noise("mono16"))
