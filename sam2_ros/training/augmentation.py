"""Training clips under other lights and from other sides (SAM 2 paper, appendix D.2).

Whatever moves pixels is the same for all frames of a clip: what moves in a clip is for the clip to say.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

LUMINANCE = np.array([0.299, 0.587, 0.114])
MEAN_COLOUR = (124, 116, 104)  # which the network sees as 0; fills what a turned picture leaves empty


@dataclass(frozen=True)
class Augmentation:
    """Chances, 0 .. 1, and the most that something changes."""

    flip: float = 0.5
    """Chance of a mirrored clip."""
    degrees: float = 0.0
    """Turned by up to so much, either way. The paper's is 25."""
    shear: float = 0.0
    """Slanted by up to so many degrees, either way. The paper's is 20."""
    mosaic: float = 0.0
    """Chance that a clip is shown four times, 2x2, and objects are followed in one place. The paper's is 0.1."""
    grey: float = 0.05
    """Chance of a clip without colours."""
    brightness: float = 0.25
    """Of the whole clip, times 1 - x .. 1 + x, and so below. The paper's is 0.1."""
    contrast: float = 0.2
    """The paper's is 0.03."""
    saturation: float = 0.0
    """The paper's is 0.03."""
    tint: float = 0.1
    """Of each colour channel. Not in the paper."""
    frame_brightness: float = 0.0
    """Of each frame by itself. The paper's is 0.1."""
    frame_contrast: float = 0.0
    """The paper's is 0.05."""
    frame_saturation: float = 0.0
    """The paper's is 0.05."""


PAPER_AUGMENTATION = Augmentation(
    degrees=25.0,
    shear=20.0,
    mosaic=0.1,
    brightness=0.1,
    contrast=0.03,
    saturation=0.03,
    tint=0.0,
    frame_brightness=0.1,
    frame_contrast=0.05,
    frame_saturation=0.05,
)
NONE = Augmentation(flip=0, grey=0, brightness=0, contrast=0, tint=0)


def moved(
    frames: np.ndarray, masks: np.ndarray, settings: Augmentation, rng: np.random.Generator, squeezed: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """The clip mirrored, turned, slanted, four times side by side. May move objects out of the picture.

    Args:
        frames: uint8 [T, H, W, 3].
        masks: bool [T, N, H, W].
        squeezed: by how much the picture was made narrower than it was, so that it is turned and not twisted.
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
    """Changes every mask, bool [T, N, H, W], as a grey picture, and cuts it at the middle grey."""
    grey = np.ascontiguousarray(masks).view(np.uint8) * np.uint8(255)
    return np.stack([[change(mask) for mask in frame] for frame in grey]) > 127


def _tiled(cell: np.ndarray, flips: np.ndarray, shown: np.ndarray | None = None) -> np.ndarray:
    """Four times the same cell, some mirrored; those that are not shown are empty."""
    cells = [cell[:, ::-1] if flip else cell for flip in flips]
    if shown is not None:
        cells = [one if show else np.zeros_like(one) for one, show in zip(cells, shown, strict=True)]
    return np.vstack((np.hstack(cells[:2]), np.hstack(cells[2:])))


def recoloured(frames: np.ndarray, settings: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """The clip under another light, which flickers if so set: uint8 [T, H, W, 3]."""
    grey = rng.random() < settings.grey
    tint = np.diag(1 + settings.tint * rng.uniform(-1, 1, 3))
    clip = (settings.brightness, settings.contrast, settings.saturation)
    each = (settings.frame_brightness, settings.frame_contrast, settings.frame_saturation)
    of_clip = 1 + np.array(clip) * rng.uniform(-1, 1, 3)
    changed = []
    for frame in frames:
        frame = np.ascontiguousarray(frame)
        mean = np.array(cv2.mean(frame)[:3]) @ LUMINANCE
        matrix = _jitter(mean, *of_clip) @ _homogeneous(tint)
        if grey:
            matrix = _homogeneous(np.tile(LUMINANCE, (3, 1))) @ matrix
        if any(each):
            matrix = _jitter(mean * of_clip[0], *(1 + np.array(each) * rng.uniform(-1, 1, 3))) @ matrix
        changed.append(cv2.transform(frame, matrix[:3]))
    return np.stack(changed)


def _jitter(mean: float, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    """Colours, seen as [r, g, b, 1], after one change of light; contrast is about the mean grey."""
    light = np.eye(3) * brightness * contrast
    colour = saturation * np.eye(3) + (1 - saturation) * LUMINANCE
    return _homogeneous(colour @ light, mean * brightness * (1 - contrast))


def _homogeneous(matrix: np.ndarray, offset: float = 0.0) -> np.ndarray:
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = matrix, offset
    return result
