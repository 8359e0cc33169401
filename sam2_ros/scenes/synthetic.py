"""Synthetic scenes: clips with exact masks, IDs and presence, generated from a seed.

Textured, jointed and bending things move in depth order over a background, seen by a moving camera. They occlude one
another, pass behind occluders, leave for a while or for good, and may have a twin. Light, lens, sensor and compression
degrade the images; masks are the visible part of each object.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import Clips
from sam2_ros.scenes import camera, things
from sam2_ros.scenes.motion import ramp, shift, transform, wander
from sam2_ros.scenes.parts import taken_apart
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.rendering import Film, Rendering, Thing, blend, draw
from sam2_ros.scenes.textures import crop, painted, recoloured

TRAINING, SUITE = 0, 1  # seed spaces: the first word of every seed, so that they don't overlap


@dataclass(frozen=True)
class SceneSettings:
    """Contents of scenes. Levels are 0 .. 1: probability and strength of an effect."""

    height: int = 256
    width: int = 256
    frames: int = 8
    fps: float = 24.0
    objects: tuple[int, int] = (2, 5)  # fewest and most
    size: tuple[float, float] = (0.08, 0.9)  # of an object, relative to the shorter side of the picture
    speed: tuple[float, float] = (0.1, 10.0)  # pixels a frame when the shorter side has 256
    camera_speed: tuple[float, float] = (0.0, 8.0)
    deformation: float = 0.5
    materials: float = 1.0  # 0: all parts of a thing look alike, 1: they may differ in everything
    occlusion: float = 0.35  # occluders pass in front of objects
    leaving: float = 0.35  # objects leave the image, and return or not
    vanishing: float = 0.0  # objects vanish at once for some frames
    parts: float = 0.0  # probability that each part of a thing is an object of its own, in the whole scene
    lookalikes: float = 0.25
    lighting: float = 0.4
    blur: float = 0.3
    noise: float = 0.4
    low_resolution: float = 0.2

    def __post_init__(self) -> None:
        if self.height < 16 or self.width < 16 or self.frames < 1:
            wrong = f"{self.height}x{self.width} pixels, {self.frames} frames"
            raise ValueError(f"scenes need at least 16x16 pixels and one frame, got {wrong}")
        if not 1 <= self.objects[0] <= self.objects[1] <= 255:
            raise ValueError(f"the number of objects must be a range within 1 .. 255, got {self.objects}")
        for name in ("size", "speed", "camera_speed"):
            low, high = getattr(self, name)
            if not 0 <= low <= high or (name == "size" and low == 0):
                raise ValueError(f"{name} must be a range of positive numbers, got {(low, high)}")
        for name in (
            "deformation",
            "materials",
            "occlusion",
            "leaving",
            "vanishing",
            "parts",
            "lookalikes",
            "lighting",
            "blur",
            "noise",
            "low_resolution",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be within 0 .. 1, got {getattr(self, name)}")


class Scenes(ABC):
    """Generates clips: the same seed and settings give the same clip in every process.

    Args:
        settings: contents of scenes.
        pictures: textures and outlines; None: all are procedural.
    """

    def __init__(self, settings: SceneSettings | None = None, pictures: Pictures | None = None) -> None:
        self.settings = settings or SceneSettings()
        self.pictures = pictures or Pictures()
        self._grain = camera.sensor_grain(self.settings.height, self.settings.width)

    @abstractmethod
    def scene(self, seed: int) -> Clip:
        """The clip of a training seed (any integer >= 0).

        Objects 1 .. N are visible on at least one frame each, one of them on the first.
        """

    @abstractmethod
    def film(self, seed: int) -> Film:
        """The same scene as a film, for callers that need few of its frames; some objects may be visible on none."""

    @property
    def _unit(self) -> float:
        return min(self.settings.height, self.settings.width) / 256

    def _view(self, rng: np.random.Generator) -> np.ndarray:
        s = self.settings
        pace = self._unit * rng.uniform(*s.camera_speed) * rng.random() ** 2
        return camera.path(rng, s.frames, s.height, s.width, pace)

    def _vanished(self, rng: np.random.Generator) -> slice:
        """The frames on which a thing has vanished; usually none."""
        frames = self.settings.frames
        if rng.random() >= self.settings.vanishing:
            return slice(0)
        start = int(rng.integers(frames))
        return slice(start, start + int(rng.integers(1, frames + 1)))

    def _objects(self, rng: np.random.Generator, scene: list[Thing]) -> list[Thing]:
        """The scene, whose objects are its things or their parts."""
        apart = self.settings.parts > 0 and rng.random() < self.settings.parts
        return taken_apart(rng, scene) if apart else scene

    def _look(self, rng: np.random.Generator) -> camera.Look:
        s = self.settings
        return camera.Look(
            rng, s.frames, s.height, s.width, self._grain,
            lighting=s.lighting, blur=s.blur, noise=s.noise, low_resolution=s.low_resolution,
        )  # fmt: skip

    def _clip(self, name: str, film: Film, ids: np.ndarray | None = None) -> Clip:
        """The clip of a film. Its objects, or those in `ids`, are renumbered 1 .. N."""
        frames, labels = zip(*(film[t] for t in range(len(film))), strict=True)
        if ids is None:
            ids = 1 + np.flatnonzero(np.stack([areas(label) for label in labels]).any(0))
        masks = [label[None] == ids.astype(np.uint8)[:, None, None] for label in labels]
        return Clip(name, list(frames), tuple(range(1, len(ids) + 1)), masks, self.settings.fps)


def areas(label: np.ndarray) -> np.ndarray:
    """Number of pixels of each object 1 .. 255 in a label image: int [255]."""
    return np.bincount(label.ravel(), minlength=256)[1:]


class SyntheticScenes(Scenes):
    """Scenes with things of random outlines and materials."""

    def scene(self, seed: int) -> Clip:
        return self._clip(f"scene-{seed}", self.film(seed))

    def film(self, seed: int) -> Film:
        name = f"scene-{seed}"
        return next(film for film in self._attempts(name, (TRAINING, seed)) if self._well_seen(film.label(0)).any())

    def suite_clip(self, name: str, seed: tuple[int, ...]) -> Clip:
        """A clip of another seed space, with at least the minimum number of objects. Each is well visible on the first
        frame and on a quarter of the frames at least."""

        def visible_ids(film: Film) -> np.ndarray:
            often_visible = np.stack([areas(film[t][1]) > 0 for t in range(len(film))]).mean(0) >= 0.25
            return 1 + np.flatnonzero(often_visible & self._well_seen(film.label(0)))

        attempts = ((film, visible_ids(film)) for film in self._attempts(name, seed))
        film, ids = next((film, ids) for film, ids in attempts if len(ids) >= self.settings.objects[0])
        return self._clip(name, film, ids)

    def _attempts(self, name: str, seed: tuple[int, ...]) -> Iterator[Film]:
        """Yield candidates until the caller accepts one. Raises ValueError after a hundred."""
        for attempt in range(100):
            yield self._film(np.random.default_rng([*seed, attempt]))
        raise ValueError(f"too few objects of {name} can be seen on its first frame with {self.settings}")

    def _well_seen(self, label: np.ndarray) -> np.ndarray:
        return areas(label) >= 1e-3 * label.size

    def _film(self, rng: np.random.Generator) -> Film:
        s = self.settings
        background = self._background(rng)
        scene = self._things(rng)
        view = self._view(rng)
        if s.camera_speed[1] > 0 and rng.random() < 0.25:  # the camera follows an object
            target = scene[int(rng.integers(len(scene)))].pose[:, :2, 2]
            way = np.clip(-0.9 * (target - target[0]), -0.6 * s.height, 0.6 * s.height)
            view = view @ transform(way[:, 0], way[:, 1], *np.array([[0.0], [1.0], [1.0]]).repeat(s.frames, 1))
        if s.vanishing > 0:
            for thing in scene:
                thing.pose[self._vanished(rng)] = shift(4 * s.width, 0)  # far away
        scene = self._objects(rng, scene)
        return Rendering(background, scene, view, self._look(rng), s.height, s.width)

    def _background(self, rng: np.random.Generator) -> np.ndarray:
        """A background larger than the view, with clutter that looks like objects: uint8 [h, w, 3]."""
        s = self.settings
        height, width = round(s.height * 1.5), round(s.width * 1.5)
        natural = self.pictures.backgrounds and rng.random() < 0.75
        if natural:
            image = recoloured(rng, crop(rng, self.pictures.background(rng), height, width, 0.35), 0.6)
        else:
            image = painted(rng, height, width)
            if rng.random() < 0.6:  # a wall and a floor, a table, a fence: large areas
                for _ in range(int(rng.integers(1, 4))):
                    corners = rng.uniform(-0.3, 1.3, (4, 2)) * (width, height)
                    region = np.zeros((height, width), np.uint8)
                    cv2.fillConvexPoly(region, cv2.convexHull(corners.astype(np.float32)).astype(np.int32), 1)
                    cv2.copyTo(painted(rng, height, width), region, image)
        clutter = int(rng.integers(0, 4)) if natural else int(rng.integers(0, 9))
        for _ in range(clutter):
            size = min(s.height, s.width) * np.exp(rng.uniform(np.log(0.05), np.log(0.5)))
            where = shift(rng.uniform(0, width), rng.uniform(0, height))
            turn = transform(*(np.array([v]) for v in (0, 0, rng.uniform(0, 6.3), 1, 1)))[0]
            for part in things.make(rng, 1, size, 0.3, self.pictures, s.materials):
                drawn = draw(part, 0, where @ turn, height, width)
                if drawn:
                    blend(image, *drawn)
        return image

    def _things(self, rng: np.random.Generator) -> list[Thing]:
        """All moving things, from back to front."""
        s = self.settings
        side = min(s.height, s.width)
        count = int(rng.integers(s.objects[0], s.objects[1] + 1))
        speed = np.exp(rng.uniform(np.log(max(s.speed[0], 1e-3)), np.log(max(s.speed[1], 2e-3))))  # of the scene
        scene: list[Thing] = []
        while len(scene) < count:
            size = side * np.exp(np.log(s.size[0]) + np.log(s.size[1] / s.size[0]) * rng.random() ** 0.6)
            parts = things.make(rng, s.frames, size, s.deformation, self.pictures, s.materials)
            twins = 2 if len(scene) + 1 < count and rng.random() < s.lookalikes else 1
            for _ in range(twins):
                still = rng.random() < 0.2 and s.speed[0] < 0.3
                own = 0.0 if still else self._unit * speed * rng.uniform(0.2, 1.3)
                scene.append(Thing(len(scene) + 1, parts, self._journey(rng, size, own), size))
        order = rng.permutation(len(scene))
        scene = [scene[i] for i in order]
        if rng.random() < s.occlusion:
            for _ in range(int(rng.integers(1, 3))):
                target = scene[int(rng.integers(len(scene)))]
                size = max(target.size * rng.uniform(0.6, 1.6), 0.1 * side)
                parts = things.make(rng, s.frames, size, s.deformation / 2, self.pictures, s.materials)
                scene.append(Thing(0, parts, self._crossing(rng, target), size))
        for thing in scene:
            if rng.random() < 0.3:
                thing.shadow = tuple(rng.uniform(-0.12, 0.12, 2) * thing.size)
        return scene

    def _journey(self, rng: np.random.Generator, size: float, speed: float) -> np.ndarray:
        """The pose of an object in the world on each frame: [T, 3, 3]."""
        s = self.settings
        frames, side = s.frames, min(s.height, s.width)
        x = np.clip(rng.normal(0, 0.24), -0.45, 0.45) * s.width + wander(rng, frames, 0.35 * side, speed)
        y = np.clip(rng.normal(0, 0.24), -0.45, 0.45) * s.height + wander(rng, frames, 0.35 * side, speed)
        if rng.random() < 0.4:
            heading = rng.uniform(0, 2 * np.pi)
            drift = (np.arange(frames) - rng.integers(frames)) * speed * 0.6
            x, y = x + np.cos(heading) * drift, y + np.sin(heading) * drift
        if rng.random() < s.leaving:
            heading = rng.uniform(0, 2 * np.pi)
            away = 1.25 * (np.hypot(s.height, s.width) / 2 + size)
            if frames >= 24 or rng.random() < 0.15:
                duration = rng.uniform(0.15, 0.5) * frames
                start = rng.uniform(0.1, 0.7) * frames
            else:  # so slowly that a short clip shows only a part
                duration = away / (self._unit * np.exp(rng.uniform(0.7, 2.8)))
                start = rng.uniform(-0.6 * duration, 0.7 * frames)
            kind = rng.random()
            if kind < 0.5:  # leaves and returns
                back = start + duration + rng.uniform(0, 0.3) * frames
                progress = ramp(frames, start, start + duration) - ramp(frames, back, back + duration)
            elif kind < 0.8:  # leaves permanently
                progress = ramp(frames, start, start + duration)
            else:  # appears late
                progress = 1 - ramp(frames, start, start + duration)
            x, y = x + np.cos(heading) * away * progress, y + np.sin(heading) * away * progress
        turning = np.exp(rng.uniform(-6, -1.9)) if speed > 0 else 0.0
        angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.4 else rng.normal(0, 0.3)
        angle = angle + wander(rng, frames, 1.2, turning)
        scaling = speed / side * rng.uniform(0, 1.2)
        sx, sy = (np.exp(wander(rng, frames, 0.3, scaling)) for _ in "xy")
        common = np.exp(wander(rng, frames, 0.4, scaling))
        return transform(x, y, angle, common * (0.5 * sx + 0.5), common * (0.5 * sy + 0.5))

    def _crossing(self, rng: np.random.Generator, target: Thing) -> np.ndarray:
        """The pose [T, 3, 3] of an occluder that passes in front of a target at some time."""
        frames = self.settings.frames
        when = rng.uniform(0.15, 0.95) * frames
        heading = rng.uniform(0, 2 * np.pi)
        pace = target.size * np.exp(rng.uniform(-3.5, 0.3)) * rng.choice([-1, 1])
        along = (np.arange(frames) - when) * pace
        meeting = target.pose[min(int(when), frames - 1), :2, 2]
        x, y = meeting[0] + np.cos(heading) * along, meeting[1] + np.sin(heading) * along
        turn = rng.uniform(0, 2 * np.pi) + wander(rng, frames, 0.5, np.exp(rng.uniform(-6, -2.5)))
        return transform(x, y, turn, np.ones(frames), np.ones(frames))


CALM = SceneSettings(
    height=240, width=320, frames=48, objects=(2, 4), size=(0.2, 0.5), speed=(0.5, 2.5), camera_speed=(0.0, 1.5),
    deformation=0.15, occlusion=0.0, leaving=0.0, lookalikes=0.0, lighting=0.1, blur=0.0, noise=0.1, low_resolution=0.0,
)  # fmt: skip

CHALLENGES: dict[str, SceneSettings] = {
    "motion": replace(CALM, speed=(6.0, 14.0), camera_speed=(2.0, 6.0)),
    "deformation": replace(CALM, deformation=1.0),
    "occlusion": replace(CALM, occlusion=1.0, leaving=0.6, speed=(1.5, 5.0)),
    "lighting": replace(CALM, lighting=1.0),
    "blur": replace(CALM, blur=1.0, speed=(3.0, 9.0)),
    "low_resolution": replace(CALM, low_resolution=1.0, noise=0.8),
    "lookalikes": replace(CALM, objects=(4, 4), lookalikes=1.0, speed=(1.0, 4.0)),
    "small": replace(CALM, size=(0.06, 0.12)),
}


def suite(scenes: int = 3, frames: int = 48) -> Clips:
    """The held-out evaluation scenes: `scenes` clips of each challenge, named "challenge-0", "challenge-1", ...

    All objects are visible on the first frame. The scenes need no pictures and share no seed with training. Each is
    drawn on access.
    """
    names = [f"{challenge}-{index}" for challenge in CHALLENGES for index in range(scenes)]
    return Clips(names, partial(suite_scene, frames=frames))


def suite_scene(name: str, frames: int = 48) -> Clip:
    """One scene of the suite, by its name; also of those beyond the suite's own, such as "motion-100"."""
    challenge, index = name.rsplit("-", 1)
    maker = SyntheticScenes(replace(CHALLENGES[challenge], frames=frames))
    return maker.suite_clip(name, (SUITE, list(CHALLENGES).index(challenge), int(index)))
