"""Small clips for tests of readers and writers."""

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np

from sam2_ros.data.clip import Clip


def make_clip(
    name: str = "walk",
    frames: int = 9,
    ids: Sequence[int] = (1, 2, 5),
    every: int = 1,
    overlap: bool = False,
    fps: float = 24.0,
) -> Clip:
    """Boxes that move over a smooth picture, which gets brighter; every `every`-th frame is annotated.

    The last object comes on the fifth frame. The second one has holes and a single pixel, and covers part of the first
    if `overlap`.
    """
    rng = np.random.default_rng(sum(name.encode()))
    picture = cv2.resize(rng.integers(20, 120, (3, 4, 3), np.uint8), (64, 48), interpolation=cv2.INTER_CUBIC)
    images, masks = [], []
    for t in range(frames):
        images.append(picture + np.uint8(12 * t % 108))
        here = np.zeros((len(ids), 48, 64), bool)
        for row in range(len(ids)):
            if row < len(ids) - 1 or t >= 4:
                top, left = 15 * row, 3 * t + 2 * row
                here[row, top : top + 12, left : left + 14] = True
        if len(ids) > 1:
            here[1, 18:22, 5:40:3] ^= True
            here[1, 40, 60] = True
            if overlap:
                here[1, :20, 8:20] = True
        masks.append(here if t % every == 0 else None)
    return Clip(name, images, tuple(ids), masks, fps)


def same_masks(clip: Clip, truth: Clip) -> None:
    """All masks are equal, bit by bit."""
    assert clip.object_ids == truth.object_ids
    for mask, expected in zip(clip.masks, truth.masks, strict=True):
        assert (mask is None) == (expected is None)
        if expected is not None:
            assert mask.dtype == bool
            np.testing.assert_array_equal(mask, expected)


def same_frames(clip: Clip, truth: Clip, tolerance: float) -> None:
    """All frames are equal but for a mean difference; tolerance 0: bit by bit. Neighbours differ by 12 levels."""
    assert len(clip) == len(truth)
    for frame, expected in zip(clip.frames, truth.frames, strict=True):
        assert frame.dtype == np.uint8 and frame.shape == expected.shape
        assert np.abs(frame.astype(int) - expected).mean() <= tolerance


def digest(clip: Clip) -> str:
    """Digest of a clip's content, the same only for equal clips."""
    everything = hashlib.sha256(repr(clip.object_ids).encode())
    for image, masks in zip(clip.frames, clip.masks, strict=True):
        everything.update(np.ascontiguousarray(image).tobytes())
        everything.update(np.ascontiguousarray(masks).tobytes())
    return everything.hexdigest()
