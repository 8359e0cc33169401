"""Antialiased shapes with soft shading, for hand-drawn scenes of recognisable things."""

from __future__ import annotations

import cv2
import numpy as np

from sam2_ros.scenes.rendering import sprite

FINE = 2  # pixels drawn per pixel and direction

Colour = tuple[float, float, float]
Points = np.ndarray | list[tuple[float, float]]


def curve(points: Points, steps: int = 12) -> np.ndarray:
    """A smooth closed curve through points (Catmull-Rom), float [len(points) * steps, 2]."""
    p = np.asarray(points, float)
    a, b, c, d = (np.roll(p, shift, axis=0)[:, None] for shift in (1, 0, -1, -2))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    values = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return values.reshape(-1, 2)


def ellipse(x: float, y: float, rx: float, ry: float | None = None) -> np.ndarray:
    """A circle or an upright ellipse, float [64, 2]."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + (rx if ry is None else ry) * np.sin(angle)], 1)


class Drawing:
    """A transparent canvas of width x height pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.colours = np.zeros((height * FINE, width * FINE, 3), np.float32)
        self.alpha = np.zeros((height * FINE, width * FINE), np.float32)

    def fill(
        self,
        points: Points,
        top: Colour,
        bottom: Colour | None = None,
        opacity: float = 1.0,
        soft: float = 0.0,
        inside: bool = False,
    ) -> None:
        """Fill a polygon with a vertical gradient; `soft` blurs its edge (pixels), `inside` clips to the drawing so
        far."""
        corners = np.asarray(points, float) * FINE
        where, mask = self._window(corners, 2 + 3 * soft * FINE)
        cv2.fillPoly(mask, [_fixed(corners, where)], 255, cv2.LINE_AA, 4)
        weight = mask.astype(np.float32) * (opacity / 255)
        if soft:
            weight = cv2.GaussianBlur(weight, (0, 0), soft * FINE)
        rows = np.arange(where[0].start, where[0].stop, dtype=np.float32)
        low, high = corners[:, 1].min(), corners[:, 1].max()
        part = np.clip((rows - low) / max(high - low, 1e-6), 0, 1)[:, None, None]
        start, end = np.asarray(top, np.float32), np.asarray(bottom or top, np.float32)
        self._composite(where, weight * self.alpha[where] if inside else weight, start * (1 - part) + end * part)

    def line(self, points: Points, thickness: float, colour: Colour, opacity: float = 1.0) -> None:
        """Draw an open line through points."""
        corners = np.asarray(points, float) * FINE
        where, mask = self._window(corners, 2 + thickness * FINE)
        cv2.polylines(mask, [_fixed(corners, where)], False, 255, max(1, round(thickness * FINE)), cv2.LINE_AA, 4)
        self._composite(where, mask.astype(np.float32) * (opacity / 255), np.asarray(colour, np.float32))

    def glow(self, x: float, y: float, radius: float, colour: Colour, opacity: float) -> None:
        """Draw a soft spot of light or shade on the drawing so far."""
        centre = np.array([[x, y]]) * FINE
        where, _ = self._window(centre, 3 * radius * FINE)
        rows, columns = (np.arange(part.start, part.stop, dtype=np.float32) for part in where)
        distance = (columns - centre[0, 0]) ** 2 + ((rows - centre[0, 1]) ** 2)[:, None]
        weight = opacity * np.exp(-distance / (radius * FINE) ** 2) * self.alpha[where]
        self._composite(where, weight, np.asarray(colour, np.float32))

    def text(self, text: str, x: float, y: float, size: float, colour: Colour) -> None:
        """Write text whose left baseline is at (x, y), on the drawing so far."""
        mask = np.zeros(self.alpha.shape, np.uint8)
        scale = size * FINE / 22
        place = (round(x * FINE), round(y * FINE))
        cv2.putText(mask, text, place, cv2.FONT_HERSHEY_DUPLEX, scale, 255, max(1, round(2.4 * scale)), cv2.LINE_AA)
        everywhere = (slice(None), slice(None))
        self._composite(everywhere, mask.astype(np.float32) / 255 * self.alpha, np.asarray(colour, np.float32))

    def _window(self, corners: np.ndarray, margin: float) -> tuple[tuple[slice, slice], np.ndarray]:
        """The rows and columns around some corners, and an empty mask of that size."""
        limits = np.array([self.width, self.height]) * FINE
        left, top = np.clip(np.floor(corners.min(0) - margin), 0, limits - 1).astype(int)
        right, bottom = np.clip(np.ceil(corners.max(0) + margin), (left + 1, top + 1), limits).astype(int)
        return (slice(top, bottom), slice(left, right)), np.zeros((bottom - top, right - left), np.uint8)

    def _composite(self, where: tuple[slice, slice], weight: np.ndarray, ink: np.ndarray) -> None:
        below = self.alpha[where] * (1 - weight)
        total = weight + below
        mixed = ink * weight[..., None] + self.colours[where] * below[..., None]
        self.colours[where] = mixed / np.maximum(total, 1e-6)[..., None]
        self.alpha[where] = total

    def sprite(self) -> np.ndarray:
        """The drawing with colours multiplied by alpha, uint8 [height, width, 4]."""
        size = (self.width, self.height)
        weighted = cv2.resize(self.colours * self.alpha[..., None], size, interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(self.alpha, size, interpolation=cv2.INTER_AREA)
        colours = weighted / np.maximum(alpha, 1e-6)[..., None]
        return sprite(np.clip(colours, 0, 255).round().astype(np.uint8), (alpha * 255).round().astype(np.uint8))


def _fixed(corners: np.ndarray, where: tuple[slice, slice]) -> np.ndarray:
    """Corners relative to a window, in OpenCV's fixed point with 4 fractional bits."""
    return np.round((corners - (where[1].start, where[0].start)) * 16).astype(np.int32)
