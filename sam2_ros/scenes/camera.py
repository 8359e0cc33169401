"""The camera: its motion, and the effects of light, lens, sensor and compression on its images."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from sam2_ros.scenes.motion import shift, transform, wander


def path(rng: np.random.Generator, frames: int, height: int, width: int, speed: float) -> np.ndarray:
    """Matrices [frames, 3, 3] from world (pixels, origin in the middle of the image) to image pixels.

    `speed` is the approximate maximum pan, pixels a frame; zoom, roll, tilt and shake scale with it.
    """
    side = min(height, width)
    pan = [wander(rng, frames, 0.2 * side, speed * rng.uniform(0, 1)) for _ in range(2)]
    if speed > 0 and rng.random() < 0.3:  # hand-held
        shake = rng.normal(0, rng.uniform(0.1, 0.8) * side / 256, (2, frames))
        pan = [axis + step for axis, step in zip(pan, shake, strict=True)]
    turning = speed / side
    zoom = np.exp(wander(rng, frames, 0.2, turning * rng.uniform(0, 0.6)))
    roll = wander(rng, frames, 0.15, turning * rng.uniform(0, 0.5))
    matrix = transform(pan[0], pan[1], roll, zoom, zoom)
    for row in range(2 if rng.random() < 0.4 else 0):
        matrix[:, 2, row] = wander(rng, frames, 0.12 / side, turning * rng.uniform(0, 0.3) / side)
    return shift((width - 1) / 2, (height - 1) / 2) @ matrix


class Look:
    """Image formation: lighting, defocus, noise, resolution and compression of each frame, drawn once for a clip.

    `lighting`, `blur`, `noise` and `low_resolution` (0 .. 1) set probability and strength of each effect.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        frames: int,
        height: int,
        width: int,
        grain: np.ndarray,
        *,
        lighting: float,
        blur: float,
        noise: float,
        low_resolution: float,
    ) -> None:
        self._size = (width, height)
        level = lighting if rng.random() < 0.25 + 0.75 * lighting else 0.0
        ramps = np.linspace(0, 1, 256)[:, None]
        gamma = np.exp(rng.normal(0, 0.12) + wander(rng, frames, 0.5 * level, 0.06 * level))[:, None, None]
        gain = np.exp(rng.normal(0, 0.1) + wander(rng, frames, 0.6 * level, 0.08 * level))[:, None]
        tint = np.exp(rng.normal(0, 0.05, 3) + np.stack([wander(rng, frames, 0.2 * level, 0.02) for _ in "rgb"], 1))
        lift = rng.uniform(0, 0.1) if rng.random() < 0.2 else 0.0  # haze
        curves = (gain * tint)[:, None] * (lift + (1 - lift) * ramps[None] ** gamma)
        self._curves = np.clip(255 * curves, 0, 255).astype(np.uint8)  # [T, 256, 3]

        self._shade = None
        if level > 0 and rng.random() < 0.3 + 0.5 * lighting:  # patches of light and shadow that drift over everything
            cells = int(rng.integers(10, 24))
            field = cv2.GaussianBlur(rng.random((cells, cells), np.float32), (0, 0), 1)
            field = cv2.normalize(field, None, 128 * (1 - 0.75 * level), 128 * (1 + 0.25 * level), cv2.NORM_MINMAX)
            self._shade = cv2.resize(field, (cells * 8, cells * 8), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
            window = cells * 8 // 2
            drift = np.stack([wander(rng, frames, window / 2, np.exp(rng.uniform(-2, 1))) for _ in range(2)], 1)
            self._windows = np.clip(np.round(drift + window / 2), 0, window).astype(int)
            self._window = window

        self._defocus = np.zeros(frames)
        if rng.random() < 0.15 + 0.6 * blur:
            softest = rng.uniform(0.3, 0.8 + 1.6 * blur) * min(height, width) / 256
            self._defocus = np.abs(softest * 0.6 + wander(rng, frames, softest * 0.6, 0.1))
        self.shutter = rng.uniform(0.2, 1) if rng.random() < 0.3 + 0.7 * blur else 0.0

        self._small = None
        if rng.random() < 0.15 + 0.85 * low_resolution:
            factor = rng.uniform(0.7 - 0.45 * low_resolution, 0.95 - 0.45 * low_resolution)
            self._small = (max(8, round(width * factor)), max(8, round(height * factor)))
            self._upscale = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_NEAREST]))
        self._noise = rng.uniform(0.5, 2 + 14 * noise) if rng.random() < 0.3 + 0.6 * noise else 0.0
        self._grain = grain
        rows, columns = grain.shape[0] - height, grain.shape[1] - width
        self._offsets = np.stack([rng.integers(0, rows, frames), rng.integers(0, columns, frames)], 1)
        self._jpeg = int(rng.integers(25, 90)) if rng.random() < 0.2 + 0.3 * low_resolution else None
        self._grey = rng.random() < 0.04

    def __call__(self, frame: int, image: np.ndarray) -> np.ndarray:
        """Apply the effects to a rendered frame, uint8 [H, W, 3] RGB."""
        if self._defocus[frame] > 0.25:
            image = cv2.GaussianBlur(image, (0, 0), float(self._defocus[frame]))
        if self._shade is not None:
            top, left = self._windows[frame]
            window = self._shade[top : top + self._window, left : left + self._window]
            light = cv2.resize(window, self._size, interpolation=cv2.INTER_LINEAR)
            image = cv2.multiply(image, cv2.cvtColor(light, cv2.COLOR_GRAY2RGB), scale=1 / 128)
        image = cv2.LUT(image, self._curves[frame][None])
        if self._small is not None:
            image = cv2.resize(image, self._small, interpolation=cv2.INTER_AREA)
            image = cv2.resize(image, self._size, interpolation=self._upscale)
        if self._noise:
            top, left = self._offsets[frame]
            grain = self._grain[top : top + self._size[1], left : left + self._size[0]]
            image = cv2.addWeighted(image, 1, grain, self._noise / 32, 0, dtype=cv2.CV_8U)
        if self._grey:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        if self._jpeg is not None:
            image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self._jpeg])[1], 1)
        return image


@lru_cache(maxsize=4)
def sensor_grain(height: int, width: int) -> np.ndarray:
    """Noise to crop from, int8 [height + 64, width + 64, 3], standard deviation 32; the same in every process."""
    noise = np.random.default_rng(0).normal(0, 32, (height + 64, width + 64, 3))
    return np.clip(np.round(noise), -127, 127).astype(np.int8)
