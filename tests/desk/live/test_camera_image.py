"""Pictures for pages: sizes, JPEGs that are passed on, and images that cannot be."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image as Picture
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam2_ros.data.image_message import ImageDecoder, ImageError
from sam2_ros.desk.live.camera_image import CameraImage, Encoded, encode, width_for
from sam2_ros.ros.images import to_jpeg, to_message

PIXELS = cv2.resize(np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8), (800, 600))


def arrived(message: Image | CompressedImage) -> CameraImage:
    return CameraImage(1, bytes(serialize_message(message)), type(message))


def encoded(message: Image | CompressedImage, *widths: int) -> Encoded:
    return encode(arrived(message), ImageDecoder(), {*widths}, 90)


def pixels_of(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)[..., ::-1]


def compressed(data: bytes, format: str = "jpeg") -> CompressedImage:
    message = CompressedImage(format=format)
    message.data = data
    return message


@pytest.mark.parametrize(("wished", "width"), [(0, 0), (1, 480), (480, 480), (481, 960), (1300, 1440), (5000, 0)])
def test_few_widths(wished: int, width: int) -> None:
    assert width_for(wished) == width


def test_raw_image_in_several_widths() -> None:
    found = encoded(to_message(PIXELS, "rgb8", Header()), 0, 480, 960)
    assert (found.height, found.width, {*found.jpegs}) == (600, 800, {800, 480})
    assert found.jpeg(960) is found.jpeg(800) and found.jpeg(480) is found.jpegs[480] is found.jpeg(100)
    for width, jpeg in found.jpegs.items():
        seen = pixels_of(jpeg)
        assert seen.shape == (width * 3 // 4, width, 3)
        assert np.abs(cv2.resize(seen, (800, 600)).astype(int) - PIXELS).mean() < 3
    assert found.size == sum(map(len, found.jpegs.values()))


def test_jpeg_is_passed_on() -> None:
    message = to_jpeg(PIXELS[..., ::-1], Header())
    for widths in ((0,), (480,), (480, 960), ()):
        found = encoded(message, *widths)
        assert (found.height, found.width) == (600, 800) and found.jpegs == {800: bytes(message.data)}


def test_jpeg_that_is_much_too_wide_is_scaled() -> None:
    wide = cv2.resize(PIXELS, (1600, 1200))
    found = encoded(to_jpeg(wide[..., ::-1], Header()), 480)
    assert (found.height, found.width, {*found.jpegs}) == (1200, 1600, {480})


def test_turned_jpeg_is_shown_as_the_camera_saw_it() -> None:
    """Browsers would turn it, and clicks would miss."""
    file = io.BytesIO()
    exif = Picture.Exif()
    exif[0x0112] = 6
    Picture.fromarray(PIXELS).save(file, "JPEG", quality=95, exif=exif)
    found = encoded(compressed(file.getvalue()), 0)
    assert b"Exif" not in found.jpeg(0) and pixels_of(found.jpeg(0)).shape == PIXELS.shape


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_png_becomes_a_jpeg(depth: type) -> None:
    grey = cv2.cvtColor(PIXELS, cv2.COLOR_RGB2GRAY).astype(depth) * (257 if depth is np.uint16 else 1)
    found = encoded(compressed(cv2.imencode(".png", grey)[1].tobytes(), "png"), 0)
    assert found.jpeg(0).startswith(b"\xff\xd8") and pixels_of(found.jpeg(0)).shape == PIXELS.shape


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Image(height=3, width=3, encoding="32FC1"), "It looks like depth"),
        (Image(height=3, width=3, encoding="rgb8", step=9), "cut off"),
        (compressed(b"\xff\xd8\xff\xe0 no picture"), "cut off|damaged"),
        (compressed(b"GIF89a"), "it is GIF"),
        (compressed(b""), "it is empty"),
    ],
)
def test_what_cannot_be_shown_says_why(message: Image | CompressedImage, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        encoded(message, 0)


def test_bytes_that_are_no_message() -> None:
    with pytest.raises(ImageError):
        encode(CameraImage(1, b"\x00\x01\x00\x00\xff", Image), ImageDecoder(), {0}, 80)
