"""Augmentation: masks move with their images, and colours change as specified."""

import numpy as np
import pytest
from small_network import moving_things

from sam2_ros.training.augmentation import NONE, Augmentation, moved, recoloured
from sam2_ros.training.recipe import load


def red_things() -> tuple[np.ndarray, np.ndarray]:
    """Images with a red first object, a blue second one, and black background."""
    _, masks = moving_things()
    frames = np.zeros((*masks.shape[:1], 64, 64, 3), np.uint8)
    frames[masks[:, 0]], frames[masks[:, 1]] = (255, 0, 0), (0, 0, 255)
    return frames, masks


@pytest.mark.parametrize(
    "settings",
    [
        Augmentation(flip=1.0),
        Augmentation(flip=0.0, degrees=25, shear=20),
        load("paper").augmentation,
    ],
)
def test_masks_move_with_the_image(settings):
    for seed in range(5):
        frames, masks = moved(*red_things(), settings, np.random.default_rng(seed))
        assert frames.dtype == np.uint8 and masks.dtype == bool and masks.any()
        clear = (frames.max(axis=-1) > 200) & (frames.min(axis=-1) < 30)  # without seams and empty corners
        assert clear.mean() > 0.05
        shown = masks[:, 0].any() and masks[:, 1].any()
        for channel, mask in ((0, masks[:, 0]), (2, masks[:, 1])):
            assert (frames[..., channel] > 200)[clear & mask].mean() > 0.99
            if shown and masks.mean() > 0.3:  # no mosaic, whose other tiles are not masked
                assert not mask[clear & (frames[..., channel] < 30)].any()


def test_mosaic_repeats_the_image_and_keeps_one_mask():
    frames, masks = red_things()
    quarters = set()
    for seed in range(20):
        tiled, followed = moved(frames, masks, Augmentation(flip=0, mosaic=1), np.random.default_rng(seed))
        assert (tiled[..., 0] > 127).mean() == pytest.approx((frames[..., 0] > 127).mean(), rel=0.1)
        assert followed[:, 0].mean() == pytest.approx(masks[:, 0].mean() / 4, rel=0.1)
        where = np.argwhere(followed[0, 0]).mean(axis=0) > 32
        quarters.add(tuple(where))
        assert ((tiled[..., 0] > 200) | ~followed[:, 0]).mean() > 0.99
    assert len(quarters) == 4


def test_rotated_disk_in_a_wide_image_stays_a_disk():
    y, x = np.mgrid[:64, :64] - 31.5
    disk = (4 * x**2 + y**2 < 400)[None, None]  # half as wide, since the image was twice as wide as high
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    for seed in range(5):
        _, masks = moved(frames, disk, Augmentation(flip=0, degrees=25), np.random.default_rng(seed), squeezed=2.0)
        assert (masks ^ disk).mean() < 0.01


def test_brightness_of_the_clip_and_of_each_frame():
    frames = np.repeat(moving_things(1)[0], 4, axis=0)
    same = recoloured(frames, NONE, np.random.default_rng(0))
    assert np.array_equal(same, frames)
    clip = recoloured(frames, Augmentation(grey=0, contrast=0, tint=0), np.random.default_rng(0))
    assert all(np.array_equal(frame, clip[0]) for frame in clip) and not np.array_equal(clip, frames)
    bright = np.abs(clip.astype(float) / np.maximum(frames, 1))[(frames > 20) & (clip < 255)]
    assert bright.std() < 0.02 and 0.75 <= bright.mean() <= 1.25
    flicker = Augmentation(flip=0, grey=0, brightness=0, contrast=0, tint=0, frame_brightness=0.1)
    each = recoloured(frames, flicker, np.random.default_rng(0))
    assert not np.array_equal(each[0], each[1])
    grey = recoloured(frames, Augmentation(grey=1), np.random.default_rng(0)).astype(int)
    assert np.abs(grey - grey[..., :1]).max() <= 1


def test_contrast_and_saturation_preserve_the_mean():
    frames = np.full((1, 64, 64, 3), 100, np.uint8)
    frames[:, :32] = (160, 90, 40)
    for settings in (
        Augmentation(grey=0, brightness=0, tint=0, contrast=0.2),
        Augmentation(grey=0, brightness=0, tint=0, contrast=0, saturation=0.5),
    ):
        changed = recoloured(frames, settings, np.random.default_rng(1))
        assert not np.array_equal(changed, frames)
        luminance = [float((one @ np.array([0.299, 0.587, 0.114])).mean()) for one in (frames, changed)]
        assert luminance[1] == pytest.approx(luminance[0], abs=1)
