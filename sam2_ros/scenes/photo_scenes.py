"""Scenes made of photographs: their things, and things cut out of other photographs, before a camera that moves.

The photograph is the world that the camera looks at. Things in it stay where they are or move and bend on their own,
before a filled hole; others are pasted in front of them and behind, cross, leave and come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sam2_ros.scenes import things
from sam2_ros.scenes.motion import shift, transform, wander
from sam2_ros.scenes.photographs import Photograph
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.rendering import Film, Part, Rendering, Thing, sprite
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.scenes.textures import recoloured

MOST_THINGS = 40
"""Of one photograph."""
ENLARGED = 2.5
"""Largest factor by which cut-outs are enlarged."""


@dataclass(frozen=True)
class _Part:
    """A part of a photograph, resized: the world of a scene, whose origin is its middle."""

    image: np.ndarray  # uint8 [h, w, 3]
    alphas: dict[int, np.ndarray]  # of its things: uint8 [h, w]
    whole: set[int]  # those that no edge of the photograph, or of this part of it, cuts off
    room: np.ndarray  # x and y, pixels that the camera may move without seeing beyond it


class PhotoScenes(SyntheticScenes):
    """Scenes made of photographs with masks.

    Args:
        settings: contents of scenes; `objects` has no effect, and `speed` none on the things of the photograph itself.
        photographs: to draw from.
        pictures: more backgrounds to paste things on, and more occluders.
    """

    def __init__(
        self, settings: SceneSettings | None, photographs: Sequence[Photograph], pictures: Pictures | None = None
    ) -> None:
        super().__init__(settings, pictures)
        self.photographs = photographs

    def _film(self, rng: np.random.Generator) -> Film:
        s = self.settings
        world = self._world(rng, self._drawn(rng) if rng.random() < 0.75 else self._backdrop(rng))
        view = self._view(rng)
        middle = np.array([(s.width - 1) / 2, (s.height - 1) / 2])
        view[:, :2, 2] = middle + np.clip(view[:, :2, 2] - middle, -world.room, world.room)
        scene, moving = self._own(rng, world)
        background = _filled(rng, world.image, moving)
        for thing in self._pasted(rng, 0 if scene else 1, len(scene)):
            place = len(scene) if rng.random() < 0.6 else int(rng.integers(len(scene) + 1))
            scene.insert(place, thing)
        if scene and rng.random() < s.occlusion:
            target = scene[int(rng.integers(len(scene)))]
            size = max(target.size * rng.uniform(0.6, 1.6), 0.1 * min(s.height, s.width))
            scene.append(Thing(0, self._occluder(rng, size), self._crossing(rng, target), size))
        scene = self._objects(rng, scene)
        return Rendering(background, scene, view, self._look(rng), s.height, s.width)

    def _drawn(self, rng: np.random.Generator) -> Photograph:
        return self.photographs[int(rng.integers(len(self.photographs)))]

    def _backdrop(self, rng: np.random.Generator) -> Photograph:
        """Another background, if there are any, with nothing in it that has a mask."""
        if not self.pictures.backgrounds:
            return self._drawn(rng)
        image = self.pictures.background(rng)
        return Photograph("", image, np.zeros(image.shape[:2], np.uint8))

    def _world(self, rng: np.random.Generator, photograph: Photograph) -> _Part:
        """The part of a photograph that a scene shows, mirrored or not."""
        s = self.settings
        rows, columns = photograph.label.shape
        stretch = np.exp(rng.normal(0, 0.08))  # of the photograph's width
        fits = min(columns * stretch / s.width, rows / s.height)  # photograph's pixels for one of the scene
        low, high = (0.35, 1.0) if s.frames == 1 else (0.4, 0.9)
        zoom = fits * (high - (high - low) * rng.random() ** 1.5)
        seen = np.array([zoom * s.width / stretch, zoom * s.height])
        free = np.array([columns, rows]) - seen
        if photograph.boxes and rng.random() < 0.7:  # something is to be seen
            x, y, w, h = list(photograph.boxes.values())[int(rng.integers(len(photograph.boxes)))]
            corner = np.array([x + w / 2, y + h / 2]) - seen * rng.uniform(0.25, 0.75, 2)
        else:
            corner = free * rng.random(2)
        corner = np.clip(corner, 0, np.maximum(free, 0))
        room = np.minimum(np.minimum(corner, free - corner), 0.5 * seen).clip(0)
        start = np.floor(corner - room).astype(int).clip(0)
        stop = np.minimum(np.ceil(corner + seen + room).astype(int), (columns, rows))
        window = slice(start[1], stop[1]), slice(start[0], stop[0])
        image, label = photograph.image[window], photograph.label[window]
        size = tuple(np.maximum(np.round((stop - start) * (stretch, 1) / zoom), 2).astype(int).tolist())
        method = cv2.INTER_AREA if zoom > 1 else cv2.INTER_CUBIC
        image = cv2.resize(image, size, interpolation=method)
        smooth = cv2.INTER_AREA if zoom > 1 else cv2.INTER_LINEAR
        numbers = (1 + np.flatnonzero(np.bincount(label.ravel(), minlength=256)[1:])).tolist()
        alphas = {
            n: cv2.resize((label == n).view(np.uint8) * np.uint8(255), size, interpolation=smooth) for n in numbers
        }
        if rng.random() < 0.5:
            image = cv2.flip(image, 1)
            alphas = {n: cv2.flip(alpha, 1) for n, alpha in alphas.items()}
        inside = {n for n in photograph.whole if n in alphas and not _reaches_edge(alphas[n])}
        return _Part(image, alphas, inside, room * (stretch, 1) / zoom)

    def _own(self, rng: np.random.Generator, world: _Part) -> tuple[list[Thing], list[np.ndarray]]:
        """The things of a photograph, larger ones behind, and the alphas of those that do not stay in their places."""
        s = self.settings
        scene: list[Thing] = []
        moving: list[np.ndarray] = []
        middle = (np.array(world.image.shape[1::-1]) - 1) / 2
        order = sorted(world.alphas, key=lambda n: -int(world.alphas[n].sum(dtype=np.int64)))
        for number in order[:MOST_THINGS]:
            alpha = world.alphas[number]
            x, y, w, h = cv2.boundingRect((alpha > 127).view(np.uint8))
            if w * h < 9:
                continue
            x0, y0 = max(x - 1, 0), max(y - 1, 0)
            window = slice(y0, y + h + 1), slice(x0, x + w + 1)
            pixels = sprite(np.ascontiguousarray(world.image[window]), np.ascontiguousarray(alpha[window]))
            size = float(max(w, h))
            centre = (np.array(pixels.shape[1::-1]) - 1) / 2
            where = shift(*(np.array([x0, y0]) + centre - middle))
            pose = np.broadcast_to(where, (s.frames, 3, 3)).copy()
            bend = None
            if s.frames > 1 and number in world.whole and rng.random() < 0.6:
                moving.append(alpha)
                pose = pose @ self._swaying(rng, size)
                if rng.random() < 0.3 + 0.7 * s.deformation:
                    bend = things.bending(rng, s.frames, size / 2, 0.25 * s.deformation)
                pose[self._vanished(rng)] = shift(4 * s.width, 0)
            still = np.broadcast_to(shift(*-centre), (s.frames, 3, 3))
            scene.append(Thing(len(scene) + 1, [Part(pixels, still, bend)], pose, size))
        return scene, moving

    def _swaying(self, rng: np.random.Generator, size: float) -> np.ndarray:
        """A thing's own motion around its place: [T, 3, 3]."""
        frames = self.settings.frames
        pace = size * np.exp(rng.uniform(-5, -2))
        reach = size * np.exp(rng.uniform(-2.5, 0.3))
        x, y = (wander(rng, frames, reach, pace) for _ in "xy")
        if rng.random() < 0.4:  # walks on
            way = np.arange(frames) - rng.integers(frames)
            x = x + way * pace * rng.uniform(-1, 1)
        angle = wander(rng, frames, 0.25, np.exp(rng.uniform(-6, -3)))
        common = np.exp(wander(rng, frames, 0.25, np.exp(rng.uniform(-6, -3))))
        narrow = np.exp(wander(rng, frames, 0.15, np.exp(rng.uniform(-6, -3))))
        start = np.array([x[0], y[0], angle[0]])  # the first frame is the photograph
        return transform(x - start[0], y - start[1], angle - start[2], common / common[0] * narrow, common / common[0])

    def _pasted(self, rng: np.random.Generator, least: int, taken: int) -> list[Thing]:
        """Things of other photographs."""
        s = self.settings
        side = min(s.height, s.width)
        speed = np.exp(rng.uniform(np.log(max(s.speed[0], 1e-3)), np.log(max(s.speed[1], 2e-3))))
        scene: list[Thing] = []
        count = max(least, int(rng.integers(0, 4)))
        while len(scene) < count:
            size = side * np.exp(np.log(s.size[0]) + np.log(s.size[1] / s.size[0]) * rng.random() ** 0.8)
            pixels = self._cut_out(rng, size)
            size = float(max(pixels.shape[:2]))
            twins = 2 if len(scene) + 1 < count and rng.random() < s.lookalikes else 1
            for _ in range(twins):
                number = taken + len(scene) + 1
                parts = [self._part(rng, pixels)]
                pose = self._journey(rng, size, self._unit * speed * rng.uniform(0.2, 1.3))
                pose[self._vanished(rng)] = shift(4 * s.width, 0)
                scene.append(Thing(number, parts, pose, size))
        return scene

    def _occluder(self, rng: np.random.Generator, size: float) -> list[Part]:
        s = self.settings
        if rng.random() < 0.5:
            return things.make(rng, s.frames, size, s.deformation / 2, self.pictures, s.materials)
        return [self._part(rng, self._cut_out(rng, size))]

    def _cut_out(self, rng: np.random.Generator, size: float) -> np.ndarray:
        """A thing of a photograph, of at most about `size` pixels: a sprite."""
        for _ in range(100):
            photograph = self._drawn(rng)
            if photograph.whole:
                break
        else:
            raise ValueError("the photographs show hardly anything whole that could be cut out")
        number = photograph.whole[int(rng.integers(len(photograph.whole)))]
        x, y, w, h = photograph.boxes[number]
        window = slice(y - 1, y + h + 1), slice(x - 1, x + w + 1)
        alpha = (photograph.label[window] == number).view(np.uint8) * np.uint8(255)
        if min(w, h) > 12 and rng.random() < 0.5:  # masks drawn by hand often have some background at their edge
            alpha = cv2.erode(alpha, np.ones((3, 3), np.uint8))
        alpha = np.minimum(cv2.GaussianBlur(alpha, (3, 3), 0), alpha)
        colours = recoloured(rng, np.ascontiguousarray(photograph.image[window]), 0.5)
        pixels = sprite(colours, alpha)
        factor = min(size / max(w, h), ENLARGED)
        target = tuple(max(3, round(n * factor)) for n in pixels.shape[1::-1])
        pixels = cv2.resize(pixels, target, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        return cv2.flip(pixels, 1) if rng.random() < 0.5 else pixels

    def _part(self, rng: np.random.Generator, pixels: np.ndarray) -> Part:
        s = self.settings
        rows, columns = pixels.shape[:2]
        still = np.broadcast_to(shift(-(columns - 1) / 2, -(rows - 1) / 2), (s.frames, 3, 3))
        bends = s.deformation > 0 and rng.random() < 0.3 + 0.5 * s.deformation
        strength = 0.2 * s.deformation
        return Part(pixels, still, things.bending(rng, s.frames, max(rows, columns) / 2, strength) if bends else None)


def _reaches_edge(alpha: np.ndarray) -> bool:
    return bool(alpha[[0, -1]].any() or alpha[:, [0, -1]].any())


def _filled(rng: np.random.Generator, image: np.ndarray, alphas: list[np.ndarray]) -> np.ndarray:
    """The image without the things of these alphas, the holes filled from around them."""
    if not alphas:
        return image
    hole = np.max(alphas, axis=0)
    coarse = 4
    small = (max(2, image.shape[1] // coarse), max(2, image.shape[0] // coarse))
    missing = cv2.dilate(cv2.resize(hole, small, interpolation=cv2.INTER_AREA), np.ones((3, 3), np.uint8))
    missing = (missing > 8).astype(np.uint8)
    rough = cv2.inpaint(cv2.resize(image, small, interpolation=cv2.INTER_AREA), missing, 3, cv2.INPAINT_TELEA)
    size = image.shape[1::-1]
    rough = cv2.resize(rough, size, interpolation=cv2.INTER_CUBIC)
    grain = cv2.resize(rng.normal(0, 6, (*image.shape[:2], 1)).astype(np.int8), size)
    rough = cv2.add(rough, cv2.merge([grain] * 3), dtype=cv2.CV_8U)
    inside = cv2.dilate(hole, np.ones((5, 5), np.uint8)) > 8
    return np.where(inside[..., None], rough, image)
