"""Image messages without ROS: any object with their fields."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from sam2_ros.data.image_message import ImageDecoder, ImageError, mask_of, pixels_of, to_rgb

NOISE = np.random.default_rng(2)
SMOOTH = cv2.resize(NOISE.integers(0, 256, (6, 8, 3), dtype=np.uint8), (64, 48), interpolation=cv2.INTER_CUBIC)
GREY = SMOOTH[..., 0].copy()


def header(seconds: float = 0.0) -> SimpleNamespace:
    return SimpleNamespace(stamp=SimpleNamespace(sec=int(seconds), nanosec=round(seconds % 1 * 1e9)))


def raw(pixels: np.ndarray, encoding: str, stamp: float = 0.0, big: bool = False) -> SimpleNamespace:
    height, width = pixels.shape[:2]
    data = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")).tobytes()
    return SimpleNamespace(
        header=header(stamp), height=height, width=width, encoding=encoding, step=0, is_bigendian=int(big), data=data
    )


def compressed(pixels: np.ndarray, form: str, suffix: str = ".png", stamp: float = 0.0) -> SimpleNamespace:
    """`pixels` in OpenCV's order: BGR."""
    return SimpleNamespace(header=header(stamp), format=form, data=cv2.imencode(suffix, pixels)[1].ravel())


def thermal(low: float = 7600, high: float = 8000) -> np.ndarray:
    return (low + GREY / 255 * (high - low)).round().astype(np.uint16)


@pytest.mark.parametrize(("low", "high"), [(200, 420), (900, 2600), (7600, 8000)])
@pytest.mark.parametrize("way", ["raw", "big endian", "png", "tiff", "png without a format", "rgb16", "bgr16"])
def test_16_bit_images_of_few_values_are_stretched(way: str, low: int, high: int) -> None:
    image = thermal(low, high)
    colour = image[..., None].repeat(3, 2)
    message = {
        "raw": raw(image, "mono16"),
        "big endian": raw(image, "mono16", big=True),
        "png": compressed(image, "mono16; png compressed "),
        "tiff": compressed(image, "mono16; tiff compressed ", ".tiff"),
        "png without a format": compressed(image, ""),
        "rgb16": raw(colour, "rgb16"),
        "bgr16": compressed(colour, "bgr16; png compressed bgr16"),
    }[way]
    seen = to_rgb(message)
    assert seen.dtype == np.uint8 and seen.shape == (48, 64, 3) and (seen[..., :1] == seen).all()
    assert np.corrcoef(seen[..., 0].ravel(), GREY.ravel())[0, 1] > 0.98 and np.ptp(seen) == 255


@pytest.mark.parametrize("big", [False, True])
def test_full_range_16_bit_images_are_not_stretched(big: bool) -> None:
    for message in (
        raw(SMOOTH.astype(np.uint16) * 257, "rgb16", big=big),
        compressed(SMOOTH[..., ::-1].astype(np.uint16) * 257, "rgb16; png compressed bgr16"),
    ):
        np.testing.assert_array_equal(to_rgb(message), SMOOTH)


def test_given_range() -> None:
    image = raw(thermal(200, 420), "mono16")
    assert ImageDecoder("full").to_rgb(image).max() <= 2
    expected = np.clip((thermal(200, 420).astype(float) - 100) * 255 / 400, 0, 255)
    assert np.abs(ImageDecoder("100..500").to_rgb(image)[..., 0] - expected).max() <= 0.5
    with pytest.raises(ValueError, match="must be auto, full, or MIN"):
        ImageDecoder("stretched")


def test_the_same_images_give_the_same_pixels() -> None:
    """Also when they are replayed without a pause, and when some are lost or unreadable."""
    rng = np.random.default_rng(3)
    frames = [
        raw(
            (thermal(7600 + 3 * i, 8000 + 9 * i) + rng.integers(0, 20, (48, 64))).astype(np.uint16),
            "mono16",
            10 + i / 10,
        )
        for i in range(30)
    ]
    frames[7].data = b""

    def played(decoder: ImageDecoder) -> list[np.ndarray]:
        seen = []
        for frame in frames:
            try:
                seen.append(decoder.to_rgb(frame))
            except ImageError:
                continue
        return seen

    decoder = ImageDecoder()
    first, again, other = played(decoder), played(decoder), played(ImageDecoder())
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, other)
    assert (to_rgb(frames[-1]) != first[-1]).any(), "it follows the images before"


def test_another_size_begins_a_new_stream() -> None:
    decoder = ImageDecoder()
    decoder.to_rgb(raw(thermal(7600, 8000), "mono16"))
    small = raw(thermal(7700, 7900)[::2, ::2].copy(), "mono16", 1.0)
    np.testing.assert_array_equal(decoder.to_rgb(small), to_rgb(small))


def test_compressed_depth_is_refused() -> None:
    depth = thermal(500, 4000)
    for message in (
        raw(depth, "16UC1"),
        compressed(depth, "16UC1; png compressed "),
        compressed(depth, "16UC1; png"),
        compressed(depth, "16UC1; tiff compressed ", ".tiff"),
        compressed(depth, "16UC1; compressedDepth png"),
        compressed(depth, "16UC1; compressedDepth rvl"),
        compressed(depth, "32FC1; compressedDepth png"),
        compressed(depth, " compressedDepth"),
        compressed(depth.astype(np.float32), "32FC1; tiff compressed ", ".tiff"),
    ):
        with pytest.raises(ImageError, match="It looks like depth; connect the colour image"):
            to_rgb(message)
    with pytest.raises(ImageError, match="signed or floating-point values"):
        to_rgb(compressed(depth.astype(np.float32), "tiff", ".tiff"))


PATTERNS = {"rggb": [[0, 1], [1, 2]], "bggr": [[2, 1], [1, 0]], "gbrg": [[1, 2], [0, 1]], "grbg": [[1, 0], [2, 1]]}


def mosaic(pattern: str, scale: int = 1) -> np.ndarray:
    """A mosaic of red light: (200, 40, 10)."""
    colour = np.array([200, 40, 10]) * scale
    return np.tile(colour[np.array(PATTERNS[pattern])], (24, 32)).astype(np.uint16 if scale > 1 else np.uint8)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_bayer_mosaics_become_colour(pattern: str) -> None:
    """image_transport compresses a mosaic as a grey image, with the pattern in the encoding."""
    for message in (
        raw(mosaic(pattern), f"bayer_{pattern}8"),
        compressed(mosaic(pattern), f"bayer_{pattern}8; png compressed "),
        compressed(mosaic(pattern), f"bayer_{pattern}8; tiff compressed ", ".tiff"),
        raw(mosaic(pattern, 257), f"bayer_{pattern}16"),
        compressed(mosaic(pattern, 257), f"bayer_{pattern}16; png compressed "),
        compressed(mosaic(pattern), f"bayer_{pattern}16; jpeg compressed ", ".jpg"),
        compressed(mosaic(pattern), f"bayer_{pattern}8; jpeg compressed ", ".jpg"),
    ):
        red, green, blue = to_rgb(message)[4:-4, 4:-4].reshape(-1, 3).mean(0)
        assert abs(red - 200) < 12 and abs(green - 40) < 12 and abs(blue - 10) < 12, message.format


def test_compressed_colour_is_not_demosaiced() -> None:
    red = np.full((48, 64, 3), (10, 40, 200), np.uint8)
    seen = to_rgb(compressed(red, "bayer_rggb8; jpeg compressed bgr8", ".jpg"))
    assert np.abs(seen.astype(int) - (200, 40, 10)).max() < 4


@pytest.mark.parametrize(
    "form",
    [
        "",
        "png",
        "image/png",
        "rgb8; png compressed bgr8",
        "bgr8; png compressed bgr8",
        "bgr8; png",
        "rgba8; png compressed bgr8",
        "yuv422; png compressed bgr8",
        "8UC3; png compressed ",
        "jpeg",  # the file's order counts
    ],
)
def test_channel_order_of_compressed_images_comes_from_the_file(form: str) -> None:
    bgr = np.ascontiguousarray(SMOOTH[..., ::-1])
    np.testing.assert_array_equal(to_rgb(compressed(bgr, form)), SMOOTH)
    assert np.abs(to_rgb(compressed(bgr, form, ".jpg")).astype(int) - SMOOTH).mean() < 5
    alpha = np.dstack([bgr, GREY])
    np.testing.assert_array_equal(to_rgb(compressed(alpha, form)), SMOOTH)


def test_grey_images_become_rgb() -> None:
    for message in (raw(GREY, "mono8"), compressed(GREY, "mono8; png compressed "), compressed(GREY, "mono8; png")):
        np.testing.assert_array_equal(to_rgb(message), GREY[..., None].repeat(3, 2))
        np.testing.assert_array_equal(pixels_of(message), GREY)
    assert np.abs(to_rgb(compressed(GREY, "mono8; jpeg compressed ", ".jpg"))[..., 1].astype(int) - GREY).mean() < 3


def test_mask_size_is_checked_against_data() -> None:
    mask = raw(GREY, "mono8")
    for size in ({"height": 2**32 - 1}, {"width": 2**32 - 1}, {"step": 2**32 - 1}):
        with pytest.raises(ImageError, match="cut off"):
            mask_of(SimpleNamespace(**(vars(mask) | size)))


def test_neither_ros_nor_pytorch_is_needed() -> None:
    code = "import sys, sam2_ros.data.image_message; print(*{'torch', 'rclpy', 'sensor_msgs'} & sys.modules.keys())"
    assert not subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
