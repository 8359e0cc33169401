"""Rendering: sprites in depth order over a background, through a camera, with the masks of visible parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from sam2_ros.scenes.camera import Look
from sam2_ros.scenes.motion import shift

CELL = 8  # pixels between the nodes of the mesh along which a part bends


@dataclass(frozen=True)
class Bend:
    """Displacement of a sprite's pixels: K waves, each with its own amplitude over time."""

    waves: np.ndarray  # float [K, 2], radians over half the sprite
    phases: np.ndarray  # float [K]
    directions: np.ndarray  # float [K, 2]
    amplitudes: np.ndarray  # float [T, K], pixels of the sprite

    @cached_property
    def reach(self) -> float:
        """The largest displacement that can occur, pixels of the sprite."""
        return float(np.abs(self.amplitudes).sum(1).max())


@dataclass(frozen=True)
class Part:
    """A sprite and its pose on each frame."""

    pixels: np.ndarray  # uint8 [h, w, 4], colours multiplied by alpha; or [h, w], alpha alone
    pose: np.ndarray  # float [T, 3, 3], sprite pixels -> the thing's own coordinates, whose origin is its middle
    bend: Bend | None = None

    @cached_property
    def outline(self) -> Part:
        """The part without colours."""
        return replace(self, pixels=cv2.extractChannel(self.pixels, 3))

    @cached_property
    def core(self) -> tuple[np.ndarray, float]:
        """The pixel farthest from the outline, and the half side of the opaque square around it."""
        solid = (cv2.extractChannel(self.pixels, 3) > 250).astype(np.uint8)
        room = cv2.distanceTransform(cv2.copyMakeBorder(solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_C, 3)
        _, most, _, place = cv2.minMaxLoc(room)
        return np.array(place) - 1.0, most - 1


@dataclass
class Thing:
    """An object, or an occluder, that moves through a scene."""

    object_id: int  # 0: an occluder
    parts: list[Part]  # from back to front
    pose: np.ndarray  # float [T, 3, 3], own coordinates -> world
    size: float = 0.0  # approximate diameter, pixels
    shadow: tuple[float, float] | None = None  # offset of its soft shadow, pixels
    part_ids: list[int] | None = None  # each part is an object of its own; 0: none. None: all parts are one object

    @property
    def ids(self) -> list[int]:
        """The object that each part belongs to; 0: none."""
        return self.part_ids or [self.object_id] * len(self.parts)


def sprite(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Premultiply RGB uint8 [h, w, 3] with alpha uint8 [h, w]: uint8 [h, w, 4]."""
    weighted = cv2.multiply(colours, cv2.merge([alpha] * 3), scale=1 / 255)
    return cv2.merge([*cv2.split(weighted), alpha])


def straight(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of `sprite`: RGB uint8 [h, w, 3] and alpha uint8 [h, w]."""
    alpha = cv2.extractChannel(pixels, 3)
    colours = cv2.divide(cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR), cv2.merge([alpha] * 3), scale=255)
    return colours, alpha


class Film(ABC):
    """Frames of a scene with the ID of the object in each pixel."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """An image, uint8 [H, W, 3], and labels, uint8 [H, W]: the ID of the object in each pixel, 0 for none."""

    def label(self, frame: int) -> np.ndarray:
        """The labels alone."""
        return self[frame][1]

    def shows(self, frame: int) -> bool:
        """Whether any object is visible."""
        return bool(self.label(frame).any())


class Footage(Film):
    """A film whose frames are in memory."""

    def __init__(self, frames: list[np.ndarray], labels: list[np.ndarray]) -> None:
        self._frames = list(zip(frames, labels, strict=True))

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        return self._frames[frame]


class Rendering(Film):
    """A film whose frames are drawn on first access. Labels and visibility are cheaper than whole frames.

    Args:
        background: uint8 [h, w, 3], larger than the image.
        scene: things from back to front.
        view: float [T, 3, 3], world -> image pixels.
        look: image formation of the camera.
        height, width: of the image.
    """

    def __init__(
        self, background: np.ndarray, scene: list[Thing], view: np.ndarray, look: Look, height: int, width: int
    ) -> None:
        self._background, self._scene, self._view, self._look = background, scene, view, look
        self._size = (height, width)
        self._outlines = [replace(thing, parts=[part.outline for part in thing.parts]) for thing in scene]
        self._frames: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self._view)

    def __getitem__(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        if frame not in self._frames:
            self._frames[frame] = self._rendered(frame)
        return self._frames[frame]

    def label(self, frame: int) -> np.ndarray:
        if frame in self._frames:
            return self._frames[frame][1]
        label = np.zeros(self._size, np.uint8)
        for thing in self._outlines:
            for object_id, item in zip(thing.ids, self._drawn(thing, frame), strict=True):
                if item is not None:
                    rows, columns, alpha = item
                    np.copyto(label[rows, columns], object_id, where=alpha > 127)
        return label

    def shows(self, frame: int) -> bool:
        if frame in self._frames:
            return super().shows(frame)
        for fast in (True, False):  # objects rarely need to be drawn to know that one is visible
            covered = np.zeros(self._size, bool)
            for thing, outline in zip(reversed(self._scene), reversed(self._outlines), strict=True):
                if fast and thing.object_id:
                    matrix, blur = self._motion(thing, frame)
                    places = (_opaque_pixel(part, frame, matrix, *self._size, blur) for part in thing.parts)
                    if any(place is not None and not covered[place] for place in places):
                        return True
                    continue
                for rows, columns, alpha in filter(None, self._drawn(outline, frame)):
                    solid = alpha > 127
                    if not thing.object_id:
                        covered[rows, columns] |= solid
                    elif (solid & ~covered[rows, columns]).any():
                        return True
        return False

    def _rendered(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = self._background.shape[:2]
        now, previous = self._view[frame], self._view[max(frame - 1, 0)]
        plate = now @ shift(-(columns - 1) / 2, -(rows - 1) / 2)
        image = _warped(self._background, plate, *self._size[::-1], cv2.BORDER_REFLECT_101)
        way = (now - previous)[:2, 2] * self._look.shutter
        if np.abs(way).max() > 1.5:
            image = _motion_blurred(image, np.clip(way, -24, 24))
        label = np.zeros(self._size, np.uint8)
        for thing in self._scene:
            drawn = self._drawn(thing, frame)
            if thing.shadow is not None:
                for item in filter(None, drawn[:1] + drawn[-1:]):
                    _shade(image, item, thing.shadow)
            for object_id, item in zip(thing.ids, drawn, strict=True):
                if item is not None:
                    alpha = blend(image, *item)
                    np.copyto(label[item[0], item[1]], object_id, where=alpha > 127)
        return self._look(frame, image), label

    def _drawn(self, thing: Thing, frame: int) -> list[tuple[slice, slice, np.ndarray] | None]:
        matrix, blur = self._motion(thing, frame)
        return [draw(part, frame, matrix, *self._size, blur) for part in thing.parts]

    def _motion(self, thing: Thing, frame: int) -> tuple[np.ndarray, np.ndarray | None]:
        """The matrix of a thing and its motion while the shutter is open, as for `draw`."""
        matrix = self._view[frame] @ thing.pose[frame]
        if not self._look.shutter:
            return matrix, None
        before = max(frame - 1, 0)
        way = _centre(matrix) - _centre(self._view[before] @ thing.pose[before])
        way = np.clip(way * self._look.shutter, -24, 24)
        return matrix, way if np.abs(way).max() > 1.5 else None


def render(
    background: np.ndarray, scene: list[Thing], view: np.ndarray, look: Look, height: int, width: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Draw all frames and labels of a scene."""
    film = Rendering(background, scene, view, look, height, width)
    frames, labels = zip(*(film[t] for t in range(len(film))), strict=True)
    return list(frames), list(labels)


def _centre(matrix: np.ndarray) -> np.ndarray:
    return matrix[:2, 2] / matrix[2, 2]


def _shade(image: np.ndarray, drawn: tuple[slice, slice, np.ndarray], offset: tuple[float, float]) -> None:
    """Draw a soft shadow beside a thing, in place."""
    rows, columns, pixels = drawn
    height, width = image.shape[:2]
    dx, dy = round(offset[0]), round(offset[1])
    top, bottom = max(rows.start + dy, 0), min(rows.stop + dy, height)
    left, right = max(columns.start + dx, 0), min(columns.stop + dx, width)
    if top >= bottom or left >= right:
        return
    radius = 2 * max(1, int(np.hypot(*offset)) // 2) + 1
    soft = cv2.blur(cv2.extractChannel(pixels, 3), (radius, radius))
    y, x = rows.start + dy, columns.start + dx
    soft = soft[top - y : bottom - y, left - x : right - x]
    light = cv2.cvtColor(cv2.convertScaleAbs(soft, alpha=-0.45, beta=255), cv2.COLOR_GRAY2RGB)
    target = image[top:bottom, left:right]
    target[:] = cv2.multiply(target, light, scale=1 / 255)


def _opaque_pixel(
    part: Part, frame: int, view: np.ndarray, height: int, width: int, blur: np.ndarray | None
) -> tuple[int, int] | None:
    """Row and column of an image pixel where `draw` makes a part opaque for certain; None: unknown."""
    core, room = part.core
    room -= 2 + (0.25 * part.bend.reach if part.bend else 0.0)  # the mesh is coarse
    if room < 0:
        return None
    matrix = view @ part.pose[frame]
    place = matrix @ (*(core - _bent(part, frame, core[:, None])[:, 0]), 1)
    column, row = np.round(place[:2] / place[2])
    reach = 0.0 if blur is None else np.abs(blur).max() / 2 + 4  # half the blur, and the kernel's coarseness
    if place[2] <= 0 or not (reach <= column < width - reach and reach <= row < height - reach):
        return None
    corners = np.array([[-1, 1, 1, -1], [-1, -1, 1, 1], [0, 0, 0, 0]]) * reach + np.array([[column], [row], [1]])
    corners = np.linalg.inv(matrix) @ corners
    corners = corners[:2] / corners[2]
    away = np.abs(corners + _bent(part, frame, corners) - core[:, None]).max()
    return (int(row), int(column)) if away <= room else None


def _bent(part: Part, frame: int, places: np.ndarray) -> np.ndarray:
    """Displacement of a part at positions [2, N] of its sprite."""
    if part.bend is None:
        return np.zeros_like(places)
    bend, (height, width) = part.bend, part.pixels.shape[:2]
    waves = bend.waves / (max(height, width) / 2) @ (places - [[width / 2], [height / 2]])
    return (bend.directions * bend.amplitudes[frame][:, None]).T @ np.sin(bend.phases[:, None] + waves)


def draw(
    part: Part, frame: int, view: np.ndarray, height: int, width: int, blur: np.ndarray | None = None
) -> tuple[slice, slice, np.ndarray] | None:
    """Render a part with the matrix `view` [3, 3] (the thing's coordinates -> image pixels).

    `blur` [2] is its motion while the shutter is open, pixels. Returns the rows and columns of the image that it covers
    and its premultiplied pixels there, uint8 [h, w, 4] or [h, w]; None outside the image.
    """
    matrix = view @ part.pose[frame]
    rows, columns = part.pixels.shape[:2]
    reach = part.bend.reach if part.bend else 0.0
    low, right, bottom = -1 - reach, columns + reach, rows + reach
    corners = matrix @ np.array([[low, right, right, low], [low, low, bottom, bottom], [1, 1, 1, 1]])
    corners = corners[:2] / corners[2]
    margin = 1 if blur is None else 1 + int(np.abs(blur).max() / 2 + 1)
    x0, y0 = np.maximum(np.floor(corners.min(1)).astype(int) - margin, 0)
    x1, y1 = np.minimum(np.ceil(corners.max(1)).astype(int) + margin + 1, (width, height))
    if x1 <= x0 or y1 <= y0:
        return None
    # With blur, the pixels just outside the image are blurred into it.
    pad = 0 if blur is None else margin
    x0, y0, x1, y1 = x0 - pad, y0 - pad, x1 + pad, y1 + pad
    w, h = int(x1 - x0), int(y1 - y0)
    if part.bend is None:
        pixels = _warped(part.pixels, shift(-x0, -y0) @ matrix, w, h)
    else:
        source = _source(part.pixels, part.bend, frame, np.linalg.inv(matrix), (x0, y0), (w, h))
        pixels = cv2.remap(part.pixels, source, None, cv2.INTER_LINEAR)
    if blur is not None:
        pixels = _motion_blurred(pixels, blur)
        pixels = pixels[pad : h - pad, pad : w - pad]
        x0, y0, x1, y1 = x0 + pad, y0 + pad, x1 - pad, y1 - pad
    return slice(int(y0), int(y1)), slice(int(x0), int(x1)), pixels


def _warped(
    pixels: np.ndarray, matrix: np.ndarray, width: int, height: int, border: int = cv2.BORDER_CONSTANT
) -> np.ndarray:
    """Warp pixels with a matrix [3, 3] into an image of the given size."""
    if matrix[2, 0] == 0 and matrix[2, 1] == 0:
        return cv2.warpAffine(pixels, matrix[:2], (width, height), flags=cv2.INTER_LINEAR, borderMode=border)
    return cv2.warpPerspective(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=border)


def _source(
    pixels: np.ndarray,
    bend: Bend,
    frame: int,
    inverse: np.ndarray,
    origin: tuple[int, int],
    size: tuple[int, int],
) -> np.ndarray:
    """Position in the sprite of every pixel of an image window: x and y, float32 [h, w, 2]."""
    (x0, y0), (w, h) = origin, size
    columns, rows = -(-w // CELL) + 2, -(-h // CELL) + 2
    x = np.arange(columns) * CELL - CELL / 2 - 0.5 + x0
    y = np.arange(rows) * CELL - CELL / 2 - 0.5 + y0
    u, v, scale = (inverse[i, 0] * x + (inverse[i, 1] * y + inverse[i, 2])[:, None] for i in range(3))
    u, v = u / scale, v / scale
    height, width = pixels.shape[:2]
    half = max(height, width) / 2
    wx, wy = bend.waves.T / half
    phase = bend.phases[:, None, None] + wx[:, None, None] * (u - width / 2) + wy[:, None, None] * (v - height / 2)
    wave = np.sin(phase)
    du, dv = np.tensordot(bend.directions * bend.amplitudes[frame][:, None], wave, axes=(0, 0))
    mesh = np.stack([u + du, v + dv], 2).astype(np.float32)
    dense = cv2.resize(mesh, (columns * CELL, rows * CELL), interpolation=cv2.INTER_LINEAR)
    return dense[CELL : CELL + h, CELL : CELL + w]


def _motion_blurred(pixels: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Average pixels along a straight motion (x, y), pixels."""
    if np.abs(way).max() > 12:  # a long blur hides the loss of resolution
        rows, columns = pixels.shape[:2]
        half = cv2.resize(pixels, (-(-columns // 2), -(-rows // 2)), interpolation=cv2.INTER_AREA)
        return cv2.resize(_motion_blurred(half, way / 2), (columns, rows), interpolation=cv2.INTER_LINEAR)
    radius = int(np.ceil(np.abs(way).max() / 2))
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.uint8)
    ends = [tuple(np.round((radius + sign * way / 2) * 16).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 255, 1, cv2.LINE_AA, 4)
    return cv2.filter2D(pixels, -1, kernel.astype(np.float32) / max(int(kernel.sum()), 1))


def blend(image: np.ndarray, rows: slice, columns: slice, pixels: np.ndarray) -> np.ndarray:
    """Composite premultiplied pixels over an image in place; return their alpha, uint8 [h, w]."""
    target = image[rows, columns]
    alpha = cv2.extractChannel(pixels, 3)
    rest = cv2.cvtColor(255 - alpha, cv2.COLOR_GRAY2RGB)
    behind = cv2.multiply(target, rest, scale=1 / 255)
    target[:] = cv2.add(behind, cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR))
    return alpha
