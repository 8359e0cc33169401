"""Augmentation of training clips: geometry and colour (SAM 2 paper, appendix D.2).

Geometric changes are the same for all frames of a clip, so that motion stays that of the clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sam2_ros.training.settings import NonNegative, Share

LUMINANCE = np.array([0.299, 0.587, 0.114])
MEAN_COLOUR = (124, 116, 104)  # 0 after normalisation; fills the corners of a rotated image


@dataclass(frozen=True)
class Augmentation:
    """Probabilities of changes, and their maximum sizes."""

    flip: Share = 0.5
    """Probability of a mirrored clip."""
    degrees: NonNegative = 0.0
    """Maximum rotation, degrees, either way. Paper: 25."""
    shear: NonNegative = 0.0
    """Maximum shear, degrees, either way. Paper: 20."""
    mosaic: Share = 0.0
    """Probability of a 2x2 mosaic of the clip, in one tile of which objects are tracked. Paper: 0.1."""
    grey: Share = 0.05
    """Probability of a clip in shades of grey."""
    brightness: Share = 0.25
    """Change x of the whole clip's brightness: a factor of 1 - x .. 1 + x, as for all below. Paper: 0.1."""
    contrast: Share = 0.2
    """Paper: 0.03."""
    saturation: Share = 0.0
    """Paper: 0.03."""
    tint: Share = 0.1
    """Change of the brightness of each colour channel. Paper: 0."""
    frame_brightness: Share = 0.0
    """Change of the brightness of each frame by itself. Paper: 0.1."""
    frame_contrast: Share = 0.0
    """Paper: 0.05."""
    frame_saturation: Share = 0.0
    """Paper: 0.05."""


NONE = Augmentation(flip=0, grey=0, brightness=0, contrast=0, tint=0)


def moved(
    frames: np.ndarray, masks: np.ndarray, settings: Augmentation, rng: np.random.Generator, squeezed: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Mirror, rotate and shear a clip, or tile it 2x2. May move objects out of the image.

    Args:
        frames: uint8 [T, H, W, 3].
        masks: bool [T, N, H, W].
        squeezed: factor by which resizing made images narrower, so that they are rotated and not twisted.
    """
    height, width = frames.shape[1:3]
    if rng.random() < settings.flip:
        frames = np.stack([cv2.flip(frame, 1) for frame in frames])  # much faster than numpy's copies
        flipped = [cv2.flip(mask, 1) for mask in masks.view(np.uint8).reshape(-1, height, width)]
        masks = np.stack(flipped).reshape(masks.shape).view(bool)
    if settings.degrees or settings.shear:
        angle, slant = np.deg2rad(rng.uniform(-1, 1, 2) * (settings.degrees, settings.shear))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        squeeze = np.diag([1 / squeezed, 1.0])
        matrix = squeeze @ turn @ np.array([[1, np.tan(slant)], [0, 1]]) @ np.linalg.inv(squeeze)
        centre = np.array([width - 1, height - 1]) / 2
        affine = np.column_stack((matrix, centre - matrix @ centre))
        frames = np.stack([_warp(frame, affine, MEAN_COLOUR) for frame in frames])
        masks = _each(masks, lambda mask: _warp(mask, affine, 0))
    if rng.random() < settings.mosaic:
        flips, place = rng.random(4) < 0.5, int(rng.integers(4))
        half = (width // 2, height // 2)
        frames = np.stack([_tiled(cv2.resize(f, half, interpolation=cv2.INTER_AREA), flips) for f in frames])
        only = np.arange(4) == place
        masks = _each(masks, lambda mask: _tiled(cv2.resize(mask, half, interpolation=cv2.INTER_AREA), flips, only))
    return frames, masks


def _warp(image: np.ndarray, affine: np.ndarray, fill: int | tuple[int, int, int]) -> np.ndarray:
    image = np.ascontiguousarray(image)
    return cv2.warpAffine(image, affine, image.shape[1::-1], flags=cv2.INTER_LINEAR, borderValue=fill)


def _each(masks: np.ndarray, change) -> np.ndarray:
    """Change every mask, bool [T, N, H, W], as a grey image, and threshold it at middle grey."""
    grey = np.ascontiguousarray(masks).view(np.uint8) * np.uint8(255)
    return np.stack([[change(mask) for mask in frame] for frame in grey]) > 127


def _tiled(cell: np.ndarray, flips: np.ndarray, shown: np.ndarray | None = None) -> np.ndarray:
    """Tile a cell 2x2, some copies mirrored; copies that are not shown are empty."""
    cells = [cell[:, ::-1] if flip else cell for flip in flips]
    if shown is not None:
        cells = [one if show else np.zeros_like(one) for one, show in zip(cells, shown, strict=True)]
    return np.vstack((np.hstack(cells[:2]), np.hstack(cells[2:])))


def recoloured(frames: np.ndarray, settings: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Change the light of a clip, of every frame by itself if so set: uint8 [T, H, W, 3]."""
    grey = rng.random() < settings.grey
    tint = np.diag(1 + settings.tint * rng.uniform(-1, 1, 3))
    clip = (settings.brightness, settings.contrast, settings.saturation)
    each = (settings.frame_brightness, settings.frame_contrast, settings.frame_saturation)
    clip_factors = 1 + np.array(clip) * rng.uniform(-1, 1, 3)
    changed = []
    for frame in frames:
        frame = np.ascontiguousarray(frame)
        mean = np.array(cv2.mean(frame)[:3]) @ LUMINANCE
        matrix = _jitter(mean, *clip_factors) @ _homogeneous(tint)
        if grey:
            matrix = _homogeneous(np.tile(LUMINANCE, (3, 1))) @ matrix
        if any(each):
            matrix = _jitter(mean * clip_factors[0], *(1 + np.array(each) * rng.uniform(-1, 1, 3))) @ matrix
        changed.append(cv2.transform(frame, matrix[:3]))
    return np.stack(changed)


def _jitter(mean: float, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    """The matrix [4, 4] of one change of light, for colours [r, g, b, 1]; contrast is about the mean grey."""
    light = np.eye(3) * brightness * contrast
    colour = saturation * np.eye(3) + (1 - saturation) * LUMINANCE
    return _homogeneous(colour @ light, mean * brightness * (1 - contrast))


def _homogeneous(matrix: np.ndarray, offset: float = 0.0) -> np.ndarray:
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = matrix, offset
    return result
