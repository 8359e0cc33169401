"""Table scenes, drawn like the demo's: toys drive, stand, hide behind others and come back.

Objects are whole things, with wheels, windows and stripes of many colours. A click should select all of a thing, which
`SyntheticScenes`, with their random shapes and materials, hardly teach.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.scenes import table, things, toys
from sam2_ros.scenes.motion import shift, transform, wander
from sam2_ros.scenes.rendering import Film, Part, Rendering, Thing
from sam2_ros.scenes.synthetic import Scenes, areas
from sam2_ros.scenes.table import TALL, WIDE
from sam2_ros.scenes.textures import repainted
from sam2_ros.scenes.toys import Toy

TABLES = 4  # seed space: the first word of every seed
NEAREST = 235.0  # units below the middle, of things that are nearest to the camera
_ALL = toys.VEHICLES | toys.STANDING | toys.LARGE


@dataclass
class _Stander:
    """A toy on the table."""

    toy: Toy
    y: float  # of its base; toys lower in the image are nearer, and in front
    size: float  # its scale
    x: np.ndarray  # [T], units
    stretch: tuple[float, float]
    object_id: int  # 0: not an object


class TableScenes(Scenes):
    """Scenes with toys on tables.

    The same story fills clips of any length: in 8 frames, toys move in jumps. `size` and `speed` of the settings have
    no effect.
    """

    def scene(self, seed: int) -> Clip:
        return self._clip(f"table-{seed}", self.film(seed))

    def film(self, seed: int) -> Film:
        s = self.settings
        smallest, largest = 1e-3 * s.height * s.width, 0.6 * s.height * s.width
        for attempt in range(100):
            film = self._film(np.random.default_rng([TABLES, seed, attempt]))
            if smallest <= areas(film.label(0)).max() <= largest:
                return film
        raise ValueError(f"no object of table scene {seed} can be seen on its first frame with {s}")

    def _film(self, rng: np.random.Generator) -> Film:
        s = self.settings
        closer = max(1.0, 256 / min(s.height, s.width)) ** 0.7  # toys keep most of their pixels
        zoom = closer * np.exp(rng.uniform(-0.2, 0.7))
        grid = np.array([s.width / WIDE * zoom * rng.uniform(0.85, 1.15), s.height / TALL * zoom])  # pixels per unit
        edge = rng.uniform(-80, 40)  # far edge of the table, units below the middle
        background = table.room(rng, s.height, s.width, grid, edge, self.pictures)
        scene = [thing for one in self._standers(rng, edge) for thing in self._drawn(rng, one, grid)]
        room = max(0, 1 - 1 / zoom) / 2 * np.array([WIDE, TALL])  # the camera sees a part of the table
        view = self._view(rng) @ shift(*(rng.uniform(-room, room) * grid))
        look = self._look(rng)
        look.shutter /= 4  # toys jump between frames, which must not blur them
        scene = self._objects(rng, scene)
        return Rendering(background, scene, view, look, s.height, s.width)

    def _standers(self, rng: np.random.Generator, edge: float) -> list[_Stander]:
        """All toys on the table, from back to front."""
        s = self.settings
        count = int(rng.integers(s.objects[0], s.objects[1] + 1))
        scene: list[_Stander] = []
        number = 0

        def stand(toy: Toy, y: float, size: float, x: np.ndarray, stretch: tuple[float, float], named: bool) -> None:
            nonlocal number
            number += named
            x[self._vanished(rng)] = 4 * WIDE  # far away
            scene.append(_Stander(toy, y, size, x, stretch, number if named else 0))

        while number < count:
            toy, stretch = self._toy(rng, toys.VEHICLES if rng.random() < 0.5 else toys.STANDING | toys.LARGE)
            y = rng.uniform(edge + 10, NEAREST)
            size = _size(y) * np.exp(rng.normal(0.1, 0.3))
            half, tall = toy.half * size * stretch[0], toy.height * size * stretch[1]
            if rng.random() < 1.3 * s.occlusion and y < NEAREST - 20:  # behind something large
                screen, wider = self._toy(rng, toys.LARGE if rng.random() < 0.7 else _ALL)
                front = rng.uniform(y + 15, min(y + 130, NEAREST))
                needed = max(half / screen.half / wider[0], (tall + front - y) / screen.height / wider[1])
                large = needed * rng.uniform(0.8, 1.4)
                spot = rng.uniform(-230, 230)
                x = self._hiding(rng, spot, half + large * screen.half * wider[0])
                stand(screen, front, large, np.full(s.frames, spot), wider, number + 1 < count and rng.random() < 0.5)
            elif rng.random() < s.leaving:
                x = self._leaving(rng, half)
            else:
                x = self._driving(rng)
            stand(toy, y, size, x, stretch, True)
            if number < count and rng.random() < s.lookalikes:
                y = rng.uniform(edge + 10, NEAREST)
                x = self._driving(rng) if rng.random() < 0.7 else self._leaving(rng, half)
                stand(toy, y, _size(y) * np.exp(rng.normal(0, 0.2)), x, stretch, True)
        for _ in range(int(rng.integers(0, 3))):  # clutter that looks like objects
            toy, stretch = self._toy(rng, _ALL)
            y = rng.uniform(edge + 10, edge + 90)
            stand(toy, y, _size(y), np.full(s.frames, rng.uniform(-320, 320)), stretch, False)
        return sorted(scene, key=lambda one: one.y)

    def _toy(self, rng: np.random.Generator, kinds: dict[str, Callable[[], Toy]]) -> tuple[Toy, tuple[float, float]]:
        """A random toy in random colours, and its stretch; sometimes a random thing instead."""
        if rng.random() < 0.25:
            size = 256 * np.exp(rng.uniform(-1.4, -0.4))
            parts = things.make(rng, 1, size, 0.0, self.pictures, self.settings.materials)
            return _standing(parts), (1.0, 1.0)
        name = list(kinds)[int(rng.integers(len(kinds)))]
        stretch = np.exp(rng.normal(0, 0.1, 2))
        return _painted(rng, _toy_drawn(name)), (float(stretch[0]), float(stretch[1]))

    def _driving(self, rng: np.random.Generator) -> np.ndarray:
        """Positions of a toy that stands, or drives a short or long way; units [T]."""
        frames = self.settings.frames
        start = rng.uniform(-280, 280)
        if rng.random() < 0.35:
            return start + wander(rng, frames, 20, 3)
        goal = start + np.exp(rng.uniform(2, 6)) * rng.choice([-1, 1])
        goal = np.clip(goal, -280, 280) if rng.random() < 0.8 else goal
        middle = start + rng.random() * (goal - start) if rng.random() < 0.7 else rng.uniform(-280, 280)
        when = sorted(rng.uniform(0, frames, 3))
        return np.interp(np.arange(frames), [0, *when], [start, start if rng.random() < 0.3 else middle, middle, goal])

    def _hiding(self, rng: np.random.Generator, spot: float, away: float) -> np.ndarray:
        """Positions of a toy that drives behind `spot`, stays there, and comes out on either side; units [T]."""
        frames = self.settings.frames
        before, after = (spot + rng.choice([-1, 1]) * (away + rng.uniform(-10, 120)) for _ in range(2))
        if abs(before) > 320:
            before = 2 * spot - before
        arrives = rng.uniform(0.1, 0.45) * frames
        leaves = arrives + rng.uniform(0.05, 0.5) * frames
        out = leaves + rng.uniform(0.05, 0.3) * frames
        hidden = spot + rng.normal(0, 6, 2)
        return np.interp(np.arange(frames), [0, arrives, leaves, out], [before, *hidden, after])

    def _leaving(self, rng: np.random.Generator, half: float) -> np.ndarray:
        """Positions of a toy that leaves the image and usually returns; units [T]."""
        frames = self.settings.frames
        start, back = rng.uniform(-260, 260, 2)
        outside = rng.choice([-1, 1]) * (WIDE * 0.72 + half)
        leaves = rng.uniform(0.0, 0.5) * frames
        away = leaves + rng.uniform(0.05, 0.3) * frames
        returns = away + rng.uniform(0.05, 0.5) * frames if rng.random() < 0.75 else 2 * frames
        from_side = outside if rng.random() < 0.6 else -outside
        when = [0, leaves, away, away + 1e-3, returns, returns + rng.uniform(0.05, 0.3) * frames]
        return np.interp(np.arange(frames), when, [start, start, outside, from_side, from_side, back])

    def _drawn(self, rng: np.random.Generator, one: _Stander, grid: np.ndarray) -> list[Thing]:
        """The shadow and the body of a toy, in pixels."""
        frames = self.settings.frames
        flip = rng.choice([-1, 1])
        sx, sy = one.size * one.stretch[0], one.size * one.stretch[1]
        rock = wander(rng, frames, 0.12, 0.1) if rng.random() < 0.3 and not one.toy.pieces[-1].radius else 0.0
        to_pixels = np.diag([*grid, 1.0])
        still = np.zeros(frames)

        def parts(toy: Toy, way: np.ndarray) -> list[Part]:
            fit = [min(1.0, 1.2 * one.size * grid.max() / piece.sharp) for piece in toy.pieces]
            pieces = tuple(piece.smaller(f) for piece, f in zip(toy.pieces, fit, strict=True))
            return replace(toy, pieces=pieces).parts(way)

        def pose(y: float, angle: np.ndarray | float, sx: float, sy: float) -> np.ndarray:
            return to_pixels @ transform(one.x, still + y, still + angle, still + sx, still + sy)

        shadow = Toy((_shadow(),), 1.0, 0.0)
        dark = Thing(0, parts(shadow, still), pose(one.y - 2, 0.0, sx * one.toy.half / 50, sy * one.toy.half / 50))
        body = Thing(one.object_id, parts(one.toy, flip * (one.x - one.x[0]) / sx), pose(one.y, rock, flip * sx, sy))
        return [dark, body]


def _size(y: float) -> float:
    """The scale of a toy that stands `y` units below the middle: nearer toys are larger."""
    return 0.58 + 0.0022 * max(y, -40)


@cache
def _toy_drawn(name: str) -> Toy:
    toy = _ALL[name]()
    return replace(toy, pieces=tuple(piece.smaller(0.5) for piece in toy.pieces))


@cache
def _shadow() -> toys.Piece:
    return toys.shadow(50).smaller(0.5)


def _standing(parts: list[Part]) -> Toy:
    """Turn a thing of one frame into a toy: each part is a piece, with one pixel per unit."""
    rows, columns = parts[0].pixels.shape[:2]
    pieces = []
    for part in parts:
        middle = (np.array(part.pixels.shape[1::-1]) - 1) / 2
        where = part.pose[0] @ np.array([*middle, 1.0])
        turn = part.pose[0] @ shift(*middle)
        turned = _turned(part.pixels, np.arctan2(turn[1, 0], turn[0, 0]))
        anchor = ((turned.shape[1] - 1) / 2, (turned.shape[0] - 1) / 2)
        pieces.append(toys.Piece(turned, anchor, (where[0], where[1] - rows / 2), sharp=1.0))
    return Toy(tuple(pieces), columns / 2, float(rows))


def _turned(pixels: np.ndarray, angle: float) -> np.ndarray:
    """Rotate a sprite about its middle, into a larger one."""
    if abs(angle) < 1e-3:
        return pixels
    rows, columns = pixels.shape[:2]
    side = int(np.ceil(np.hypot(rows, columns))) + 1
    matrix = shift((side - 1) / 2, (side - 1) / 2) @ transform(*np.array([[0], [0], [angle], [1], [1]]))[0]
    matrix = matrix @ shift(-(columns - 1) / 2, -(rows - 1) / 2)
    return cv2.warpAffine(pixels, matrix[:2], (side, side), flags=cv2.INTER_LINEAR)


def _painted(rng: np.random.Generator, toy: Toy) -> Toy:
    """Recolour a whole toy."""
    state = rng.integers(2**31)
    pieces = (replace(one, pixels=repainted(np.random.default_rng(state), one.pixels)) for one in toy.pieces)
    return replace(toy, pieces=tuple(pieces))
