"""16-bit images of thermal, infrared and other cameras become 8-bit ones with stable, visible contrast."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sam2_ros.data.value_range import FULL, ValueRange, next_range, parse_range, to_8_bits

NOISE = np.random.default_rng(11)
SCENE = cv2.GaussianBlur(NOISE.random((120, 160)), (0, 0), 9)
SCENE = (SCENE - SCENE.min()) / np.ptp(SCENE)


def scene(low: float, high: float) -> np.ndarray:
    """A camera's image with values in this range, with noise: uint16 [120, 160]."""
    noise = NOISE.normal(0, (high - low) / 200, SCENE.shape)
    return np.clip(low + SCENE * (high - low) + noise, 0, 65535).round().astype(np.uint16)


class Camera:
    """A stream of images, converted to 8 bits."""

    def __init__(self) -> None:
        self.range: ValueRange | None = None

    def sees(self, pixels: np.ndarray) -> np.ndarray:
        self.range = next_range(self.range, pixels)
        return to_8_bits(pixels, self.range)


@pytest.mark.parametrize(
    ("low", "high"), [(200, 420), (900, 2600), (7600, 8000), (0, 1023), (0, 4095), (27_300, 31_000)]
)
def test_few_values_are_stretched_to_8_bits(low: int, high: int) -> None:
    """Infrared of 10 and 12 bits, thermal of 14, hundredths of a kelvin."""
    image = scene(low, high)
    seen = Camera().sees(image)
    stretched = np.clip((image.astype(float) - low) / (high - low) * 255, 0, 255)
    assert seen.min() == 0 and seen.max() == 255 and 30 < seen.std() < 70
    assert np.corrcoef(seen.ravel(), stretched.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("high", [65_535, 40_000, 20_000])
def test_full_range_images_are_not_stretched(high: int) -> None:
    camera = Camera()
    for brightness in (1.0, 1.0, 0.5, 0.3, 1.0):  # a cloud
        image = scene(0, high * brightness)
        np.testing.assert_array_equal(camera.sees(image), cv2.convertScaleAbs(image, alpha=1 / 257))


def test_static_scene_does_not_flicker() -> None:
    camera = Camera()
    seen = [camera.sees(scene(7600, 8000)).mean() for _ in range(60)]
    assert np.ptp(seen) < 1


def test_hot_object_does_not_darken_the_background() -> None:
    """A person near a thermal camera is white before an unchanged room; larger objects change it slowly and
    slightly."""
    for share, allowed in ((0.03, 2), (0.1, 12), (0.2, 40)):
        camera, room = Camera(), []
        side = round((share * SCENE.size) ** 0.5)
        for time in range(90):
            image = scene(7600, 8000)
            if 20 <= time < 60:
                image[:side, :side] = 14_000
            seen = camera.sees(image)
            assert not 20 <= time < 60 or seen[0, 0] == 255
            room.append(seen[:, 100:].mean())
        assert np.abs(np.diff(room)).max() < 4, "no step can be seen"
        assert np.abs(np.array(room) - room[0]).max() < allowed


def test_gain_jump_resets_the_range() -> None:
    camera = Camera()
    before = camera.sees(scene(200, 420))
    after = camera.sees(scene(2600, 3100))
    back = camera.sees(scene(200, 420))
    assert abs(after.mean() - before.mean()) < 5 and abs(back.mean() - before.mean()) < 5


@pytest.mark.parametrize("value", [0, 5000, 65_535])
def test_empty_first_image(value: int) -> None:
    camera = Camera()
    camera.sees(np.full(SCENE.shape, value, np.uint16))
    camera.sees(NOISE.integers(0, 65_536, SCENE.shape).astype(np.uint16))
    assert camera.sees(scene(7600, 8000)).std() > 30


def test_contrast_changes_adapt_slowly() -> None:
    camera = Camera()
    camera.sees(scene(200, 800))
    seen = [camera.sees(scene(400, 500)) for _ in range(120)]
    assert seen[0].std() < 15 and seen[-1].std() > 30
    assert max(np.abs(np.diff([image.mean() for image in seen]))) < 4


def test_black_borders_and_saturated_pixels_are_ignored() -> None:
    """Rectified images have rims of 0; dead pixels are 0 or 65535."""
    plain = scene(7600, 8000)
    rimmed = plain.copy()
    rimmed[:12], rimmed[:, :12], rimmed[60, 60:140] = 0, 0, 65535
    expected = to_8_bits(plain, next_range(None, plain))
    seen = to_8_bits(rimmed, next_range(None, rimmed))
    assert np.abs(seen[20:50, 20:].astype(int) - expected[20:50, 20:]).mean() < 10


@pytest.mark.parametrize("value", [0, 1, 7700, 65_534, 65_535])
def test_an_image_of_one_value(value: int) -> None:
    result = next_range(None, np.full((12, 16), value, np.uint16))
    assert 0 <= result.low < result.high <= 65_535
    for before in (FULL, ValueRange(200, 420)):
        after = next_range(before, np.full((12, 16), value, np.uint16))
        assert 0 <= after.low < after.high <= 65_535


def test_ranges_are_always_valid() -> None:
    camera = Camera()
    for _ in range(300):
        ends = np.sort(NOISE.integers(0, 65_536, 2))
        camera.sees(NOISE.integers(ends[0], ends[1] + 1, (12, 16)).astype(np.uint16))
        assert 0 <= camera.range.low < camera.range.high <= 65_535


def test_colour_channels_share_one_range() -> None:
    """12 bits of a colour camera: the channels keep their proportions."""
    image = np.dstack([scene(0, 3800), scene(0, 1900), scene(0, 950)])
    seen = to_8_bits(image, next_range(None, image)).astype(float)
    assert seen[..., 0].mean() > 1.8 * seen[..., 1].mean() > 3.2 * seen[..., 2].mean() > 50


def test_parse_range() -> None:
    assert (
        parse_range("auto") is None
        and parse_range("full") == FULL
        and parse_range("7600..8000") == ValueRange(7600, 8000)
    )
    seen = to_8_bits(np.array([[0, 7599, 7600, 7800, 8000, 8001, 65535]], np.uint16), parse_range("7600..8000"))
    assert seen.tolist() == [[0, 0, 0, 128, 255, 255, 255]]
    for text in ("", "8000", "8000..7600", "1..1", "-1..5", "0..65536", "1...5", "a..b", "x" * 10**6):
        with pytest.raises(ValueError, match=r"must be auto, full, or MIN..MAX as in 7600..8000") as caught:
            parse_range(text)
        assert len(str(caught.value)) < 200
