"""The demo: ten seconds in which a red toy car drives behind a flower pot, leaves the image and returns."""

from __future__ import annotations

import cv2
import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.scenes import camera
from sam2_ros.scenes.motion import ramp, shift, transform
from sam2_ros.scenes.rendering import Thing, blend, render
from sam2_ros.scenes.table import blocks, books, landscape, planks
from sam2_ros.scenes.textures import noise
from sam2_ros.scenes.toys import Toy, ball, car, duck, pot, shadow

WIDTH, HEIGHT, FRAMES, FPS = 640, 480, 240, 24.0
DEMO = 2  # seed space: the first word of the seed

CAR, DUCK, TWIN, BALL = 1, 2, 3, 4
NAMES = {CAR: "red car", DUCK: "duck", TWIN: "another red car", BALL: "ball"}


def demo_scene(frames: int = FRAMES) -> Clip:
    """The first `frames` (at most 240) frames of the demo at 640x480 and 24 fps.

    Object 1 is the red car, the one to track; 2 a rubber duck, 3 another red car, 4 a ball. The car is hidden
    completely behind the pot at about 3 s and out of the image from about 5 to 6 s.
    """
    rng = np.random.default_rng([DEMO, 0])
    t = np.arange(FRAMES) / FPS
    view = _hand_held(rng)
    scene = [
        *_driving(TWIN, x=-92 - 380 * ramp(FRAMES, 6.2 * FPS, 9.8 * FPS), y=20.0, scale=0.6),
        *_driving(CAR, x=_drive(t), y=92.0, scale=0.8),
        *_rocking(t),
        *_rolling(),
        *_standing(),
    ]
    look = camera.Look(
        rng, FRAMES, HEIGHT, WIDTH, camera.sensor_grain(HEIGHT, WIDTH), lighting=0.0, blur=0.0, noise=0.0,
        low_resolution=0.0,
    )  # fmt: skip
    background = _room(rng)
    images, labels = render(background, scene, view[:frames], look, HEIGHT, WIDTH)
    ids = tuple(NAMES)
    masks = [label[None] == np.array(ids, np.uint8)[:, None, None] for label in labels]
    return Clip("demo", images, ids, masks, FPS)


def _drive(t: np.ndarray) -> np.ndarray:
    """Position of the car along the table, from left to right, pixels from the middle."""
    points = [(0, -226), (0.6, -226), (2.5, 20), (3.5, 110), (5.0, 440), (6.0, 440), (7.8, 110), (8.6, 40), (10, -90)]
    times, places = np.array(points, float).T
    rough = np.interp(np.arange(-24, FRAMES + 24) / FPS, times, places)
    kernel = np.hanning(27)[1:-1]
    return np.convolve(rough, kernel / kernel.sum(), "same")[24:-24]


def _hand_held(rng: np.random.Generator) -> np.ndarray:
    """A camera that drifts and moves a little closer: [T, 3, 3], world to image."""
    t = np.arange(FRAMES) / FPS
    x, y = 9 * np.sin(0.55 * t) + 2 * np.sin(2.3 * t), 4 * np.sin(0.8 * t + 1) + 1.2 * np.sin(2.9 * t)
    zoom = 1.0 + 0.05 * ramp(FRAMES, 0, FRAMES)
    matrix = transform(x, y, 0.006 * np.sin(0.7 * t), zoom, zoom)
    return shift((WIDTH - 1) / 2, (HEIGHT - 1) / 2) @ matrix


def _at(
    x: np.ndarray | float, y: np.ndarray | float, angle: np.ndarray | float = 0.0, scale: float = 1.0
) -> np.ndarray:
    x, y, angle, size = (np.broadcast_to(np.asarray(v, float), FRAMES) for v in (x, y, angle, scale))
    return transform(x, y, angle, size, size)


def _driving(object_id: int, x: np.ndarray, y: float, scale: float) -> list[Thing]:
    """A car whose wheels turn."""
    bounce = 0.5 * np.sin(0.35 * x) * scale
    parts = car().parts((x - x[0]) / scale)
    return [_shadow(x, y - 1, 100 * scale), Thing(object_id, parts, _at(x, y + bounce, 0.0, scale))]


def _rocking(t: np.ndarray) -> list[Thing]:
    """A duck that rocks on the table."""
    x, y = -196 + 10 * np.sin(0.9 * t), 196.0
    return [_shadow(x, y - 3, 50), Thing(DUCK, duck().parts(0 * t), _at(x, y, 0.1 * np.sin(3.1 * t), 0.88))]


def _rolling() -> list[Thing]:
    """A ball that rolls through the image from right to left and back while the car is away."""
    x = 420 - 520 * ramp(FRAMES, 3.6 * FPS, 8.2 * FPS) + 640 * ramp(FRAMES, 8.6 * FPS, 12.5 * FPS)
    return [_shadow(x, 204.0, 32), Thing(BALL, ball().parts(x - x[0]), _at(x, 205.0))]


def _standing() -> list[Thing]:
    """A flower pot in front of the road, wide enough to hide the car: an occluder, not an object."""
    x, y = np.full(FRAMES, 66.0), 172.0
    parts = pot(np.random.default_rng([DEMO, 1])).parts(np.zeros(FRAMES))
    return [_shadow(x + 10, y - 2, 92, 0.5), Thing(0, parts, _at(x, y, 0.0, 1.06))]


def _shadow(x: np.ndarray, y: float, half: float, strength: float = 0.46) -> Thing:
    return Thing(0, Toy((shadow(half, strength),), half, 0.0).parts(0 * x), _at(x, y))


def _room(rng: np.random.Generator) -> np.ndarray:
    """A wooden table before a wall with the light of a window, books, blocks and a picture: uint8 [720, 960, 3]."""
    height, width, edge = 720, 960, 372
    y, x = np.mgrid[:height, :width].astype(np.float32)
    wall = (
        np.array([196, 208, 202], np.float32)
        - 26 * (y / edge)[..., None]
        - 18 * (np.abs(x - 400) / 500)[..., None] ** 2
    )
    wall = wall + (noise(rng, height, width, 40).astype(np.float32)[..., None] - 127) * 0.03
    panes = np.zeros((height, width), np.float32)
    for row in range(2):
        for column in range(2):
            x0, y0 = 505 + column * 74 - row * 20, 96 + row * 92
            corners = np.array([(x0, y0), (x0 + 66, y0 + 10), (x0 + 48, y0 + 92), (x0 - 18, y0 + 82)], np.int32)
            cv2.fillConvexPoly(panes, corners, 1.0, cv2.LINE_AA)
    image = wall + cv2.GaussianBlur(panes, (0, 0), 4)[..., None] * np.array([44, 36, 14], np.float32)

    flat = planks(rng)  # drawn flat, laid down in perspective
    goal = np.array([(-40, edge), (1000, edge), (1560, 730), (-600, 730)], np.float32)
    laid = cv2.getPerspectiveTransform(np.array([(0, 0), (1400, 0), (1400, 800), (0, 800)], np.float32), goal)
    table = cv2.warpPerspective(flat, laid, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    depth = np.clip((y - edge) / (height - edge), 0, 1)[..., None]
    table = table * (0.86 + 0.2 * depth) - 14 * (np.abs(x - 480) / 480)[..., None] ** 2
    image = np.where((y >= edge)[..., None], table, image)
    image[edge - 6 : edge] *= np.linspace(1, 0.72, 6, dtype=np.float32)[:, None, None]
    image[edge : edge + 5] = np.array([214, 164, 112], np.float32)
    image = np.clip(image, 0, 255).astype(np.uint8)

    for pixels, left, top in ((landscape(), 250, 128), (books(), 190, 208), (blocks(), 640, 248)):
        rows, columns = pixels.shape[:2]
        blend(image, slice(top, top + rows), slice(left, left + columns), pixels)
    vignette = 1 - 0.16 * np.clip(((x - 480) / 480) ** 2 + ((y - 360) / 360) ** 2 - 0.35, 0, 2)
    return np.clip(image * vignette[..., None], 0, 255).astype(np.uint8)
