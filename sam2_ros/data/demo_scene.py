"""The demo: ten seconds on a table. A red toy car drives behind a flower pot, leaves the picture and comes back."""

from __future__ import annotations

import cv2
import numpy as np

from sam2_ros.data import camera
from sam2_ros.data.clip import Clip
from sam2_ros.data.drawing import Colour, Drawing, curve, ellipse
from sam2_ros.data.motion import ramp, shift, transform
from sam2_ros.data.rendering import Part, Thing, blend, render
from sam2_ros.data.textures import noise

WIDTH, HEIGHT, FRAMES, FPS = 640, 480, 240, 24.0
SHARP = 2  # pixels of a sprite per pixel of the picture
DEMO = 2  # this scene's seed space

CAR, DUCK, TWIN, BALL = 1, 2, 3, 4
NAMES = {CAR: "red car", DUCK: "duck", TWIN: "another red car", BALL: "ball"}


def demo_scene(frames: int = FRAMES) -> Clip:
    """The first `frames` (at most 240) frames of the demo at 640x480 and 24 fps.

    Object 1 is the red car, the one to follow; 2 a rubber duck, 3 another red car, 4 a ball. The car is hidden
    completely behind the pot at about 3 s and out of the picture from about 5 to 6 s.
    """
    rng = np.random.default_rng([DEMO, 0])
    t = np.arange(FRAMES) / FPS
    view = _hand_held(rng)
    scene = [
        *_car(TWIN, x=-92 - 380 * ramp(FRAMES, 6.2 * FPS, 9.8 * FPS), y=20.0, scale=0.6),
        *_car(CAR, x=_drive(t), y=92.0, scale=0.8),
        *_duck(t),
        *_ball(t),
        *_pot(),
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
    """Where the car is along the table, from left to right, pixels from the middle."""
    points = [(0, -226), (0.6, -226), (2.5, 20), (3.5, 110), (5.0, 440), (6.0, 440), (7.8, 110), (8.6, 40), (10, -90)]
    times, places = np.array(points, float).T
    rough = np.interp(np.arange(-24, FRAMES + 24) / FPS, times, places)
    kernel = np.hanning(27)[1:-1]
    return np.convolve(rough, kernel / kernel.sum(), "same")[24:-24]


def _hand_held(rng: np.random.Generator) -> np.ndarray:
    """A camera that drifts and comes a little closer: [T, 3, 3], world to image."""
    t = np.arange(FRAMES) / FPS
    x, y = 9 * np.sin(0.55 * t) + 2 * np.sin(2.3 * t), 4 * np.sin(0.8 * t + 1) + 1.2 * np.sin(2.9 * t)
    zoom = 1.0 + 0.05 * ramp(FRAMES, 0, FRAMES)
    matrix = transform(x, y, 0.006 * np.sin(0.7 * t), zoom, zoom)
    return shift((WIDTH - 1) / 2, (HEIGHT - 1) / 2) @ matrix


def _placed(pixels: np.ndarray, anchor: tuple[float, float]) -> np.ndarray:
    """The pose [3, 3] of a sprite whose point `anchor` (its pixels) is the thing's origin."""
    return np.diag([1 / SHARP, 1 / SHARP, 1.0]) @ shift(-anchor[0], -anchor[1])


def _still(pixels: np.ndarray, anchor: tuple[float, float]) -> Part:
    return Part(pixels, np.broadcast_to(_placed(pixels, anchor), (FRAMES, 3, 3)))


def _at(
    x: np.ndarray | float, y: np.ndarray | float, angle: np.ndarray | float = 0.0, scale: float = 1.0
) -> np.ndarray:
    x, y, angle, size = (np.broadcast_to(np.asarray(v, float), FRAMES) for v in (x, y, angle, scale))
    return transform(x, y, angle, size, size)


def _ground_shadow(x: np.ndarray | float, y: float, half: float, strength: float = 0.46) -> Thing:
    """The soft dark spot under a thing that stands at (x, y); too faint to count in anybody's mask."""
    w, h = round(half * 2.8 * SHARP), round(half * 0.62 * SHARP)
    drawing = Drawing(w, h)
    drawing.fill(ellipse(w / 2, h / 2, w * 0.36, h * 0.26), (38, 22, 14), opacity=strength, soft=h * 0.1)
    return Thing(0, [_still(drawing.sprite(), (w / 2, h / 2))], _at(x, y))


def _car(object_id: int, x: np.ndarray | float, y: float, scale: float) -> list[Thing]:
    """A toy car seen from its side, 200 pixels long at scale 1, whose wheels turn as it drives."""
    x = np.broadcast_to(np.asarray(x, float), FRAMES)
    d = Drawing(2 * 210, 2 * 120)
    red, dark = (226, 48, 42), (128, 14, 20)
    k = 2.0

    def scaled(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(px * k, py * k) for px, py in points]

    cabin = curve(scaled([(50, 56), (60, 38), (76, 20), (100, 14), (126, 16), (144, 32), (158, 56), (104, 62)]))
    body = curve(scaled([
        (6, 74), (10, 58), (26, 52), (50, 49), (104, 48), (152, 49), (184, 56), (201, 66), (204, 82), (198, 93),
        (150, 96), (104, 96), (50, 96), (12, 94),
    ]))  # fmt: skip
    d.fill(cabin, (238, 70, 60), (176, 26, 28))
    d.fill(body, red, dark)
    for pane in (
        [(63, 50), (70, 36), (82, 25), (97, 23), (97, 50)],
        [(104, 50), (104, 23), (123, 25), (134, 35), (143, 50)],
    ):
        d.fill(scaled(pane), (206, 233, 245), (106, 152, 178))
        low, high = min(p[0] for p in pane), max(p[0] for p in pane)
        glint = [
            (low + 0.55 * (high - low), 24),
            (low + 0.8 * (high - low), 24),
            (low + 0.45 * (high - low), 50),
            (low + 0.2 * (high - low), 50),
        ]
        d.fill(scaled(glint), (255, 255, 255), opacity=0.28)
    d.fill(
        curve(scaled([(14, 61), (28, 55), (104, 52), (180, 59), (194, 65), (104, 57)])),
        (255, 170, 150),
        opacity=0.65,
        soft=1.2,
        inside=True,
    )
    d.fill(scaled([(6, 84), (204, 84), (204, 90), (6, 90)]), (246, 236, 220), (214, 200, 186), inside=True)
    for px in (100.5, 101.5, 148):
        d.line(scaled([(px, 52), (px - (1 if px > 120 else 0), 82)]), 1.6, (96, 8, 14), 0.7)
    d.line(scaled([(108, 62), (118, 62)]), 4, (250, 240, 228), 0.9)
    d.fill(ellipse(80 * k, 70 * k, 12.5 * k), (252, 248, 240), (228, 220, 210))
    d.text("7", 73.5 * k, 77.5 * k, 19 * k, (40, 44, 60))
    d.fill(ellipse(196 * k, 70 * k, 6 * k, 7 * k), (255, 246, 190), (244, 196, 84), inside=True)
    d.fill(ellipse(10 * k, 69 * k, 4 * k, 7 * k), (255, 120, 90), (190, 20, 30), inside=True)
    d.fill(curve(scaled([(192, 86), (207, 86), (208, 93), (196, 96)])), (206, 210, 216), (120, 124, 132))
    d.fill(curve(scaled([(2, 86), (14, 86), (14, 95), (3, 93)])), (206, 210, 216), (120, 124, 132))
    wheels = (52, 154)
    for wx in wheels:
        d.fill(ellipse(wx * k, 93 * k, 22.5 * k), (58, 10, 14), (30, 8, 10), inside=True)
    pixels = d.sprite()

    w = Drawing(84, 84)
    w.fill(ellipse(42, 42, 39), (62, 62, 66), (30, 30, 34))
    w.fill(ellipse(42, 42, 26), (224, 226, 230), (172, 176, 184))
    w.fill(ellipse(42, 42, 21), (150, 154, 162), (118, 122, 130))
    for spoke in range(5):
        a = 2 * np.pi * spoke / 5
        w.line([(42, 42), (42 + 22 * np.cos(a), 42 + 22 * np.sin(a))], 6, (232, 234, 238))
    w.fill(ellipse(42, 42, 7), (240, 60, 52), (170, 20, 24))
    wheel = w.sprite()
    turn = (x - x[0]) / (20.0 * scale)
    zero, one = np.zeros(FRAMES), np.ones(FRAMES)
    parts = [_still(pixels, (105 * k, 115 * k))]
    for wx in wheels:
        spin = transform(zero + (wx - 105), zero - 21, turn, one, one)
        parts.append(Part(wheel, spin @ _placed(wheel, (41.5, 41.5))))
    bounce = 0.5 * np.sin(0.35 * x) * scale
    shadow = _ground_shadow(x, y - 1, 100 * scale)
    return [shadow, Thing(object_id, parts, _at(x, y + bounce, 0.0, scale))]


def _duck(t: np.ndarray) -> list[Thing]:
    """A rubber duck that rocks on the table, 110 pixels wide."""
    d = Drawing(250, 240)
    light, deep, orange = (255, 226, 66), (232, 160, 20), (246, 128, 32)
    body = [(20, 128), (40, 150), (62, 132), (110, 124), (160, 122), (206, 140), (222, 176), (202, 214)]
    d.fill(curve([*body, (150, 230), (88, 230), (44, 208), (22, 170)]), light, deep)
    d.fill(ellipse(172, 82, 55, 53), (255, 232, 90), (244, 190, 34))
    d.glow(150, 56, 34, (255, 252, 210), 0.75)
    d.glow(120, 152, 44, (255, 246, 170), 0.45)
    d.glow(110, 236, 70, (150, 84, 0), 0.4)
    d.fill(curve([(216, 74), (232, 80), (247, 90), (236, 98), (217, 102), (206, 90)]), orange, (206, 84, 12))
    d.line([(212, 90), (240, 91)], 2, (150, 60, 6), 0.8)
    d.fill(ellipse(189, 66, 11, 13), (255, 255, 255))
    d.fill(ellipse(192, 67, 7.5, 9), (28, 24, 28))
    d.fill(ellipse(194.5, 63, 2.6), (255, 255, 255))
    d.fill(
        curve([(70, 168), (100, 152), (146, 156), (166, 176), (136, 196), (98, 200), (62, 190)]),
        (255, 214, 50),
        (216, 142, 14),
    )
    d.line(curve([(74, 186), (100, 196), (136, 192), (160, 178), (136, 195), (98, 199)])[:40], 2.2, (178, 104, 6), 0.7)
    pixels = d.sprite()
    parts = [_still(pixels, (122, 230))]
    x, y = -196 + 10 * np.sin(0.9 * t), 196.0
    return [_ground_shadow(x, y - 3, 50), Thing(DUCK, parts, _at(x, y, 0.1 * np.sin(3.1 * t), 0.88))]


def _ball(t: np.ndarray) -> list[Thing]:
    """A beach ball that rolls through the picture from right to left and back while the car is away."""
    d = Drawing(140, 140)
    d.fill(ellipse(70, 70, 66), (250, 248, 242), (226, 222, 214))
    for i, colour in enumerate([(38, 120, 214), (250, 196, 40), (52, 168, 96)]):
        a = 2 * np.pi * i / 3
        edge = ellipse(70, 70, 66)[np.arange(11) + round(64 * i / 3)]
        bow = 0.5 * (edge[0] + edge[-1]) + 9 * np.array([np.sin(a), -np.cos(a)])
        d.fill(np.concatenate([edge, [bow * 0.5 + 35, (70, 70)]]), colour, inside=True)
    d.fill(ellipse(70, 70, 9), (250, 248, 242), (230, 226, 220))
    d.line(ellipse(70, 70, 65), 2, (70, 60, 60), 0.35)
    pixels = d.sprite()
    x = 420 - 520 * ramp(FRAMES, 3.6 * FPS, 8.2 * FPS) + 640 * ramp(FRAMES, 8.6 * FPS, 12.5 * FPS)
    parts = [_still(pixels, (69.5, 69.5))]
    shine = Drawing(140, 140)
    shine.fill(ellipse(70, 70, 66), (0, 0, 0), opacity=0.004)
    shine.fill(ellipse(52, 44, 20, 15), (255, 255, 255), opacity=0.4, soft=6)
    rolling = Thing(BALL, parts, _at(x, 172.0, (x - x[0]) / 33.0))
    fixed = Thing(0, [_still(shine.sprite(), (69.5, 69.5))], _at(x, 172.0))
    return [_ground_shadow(x, 204.0, 32), rolling, fixed]


def _pot() -> list[Thing]:
    """A flower pot in front of the road, wide enough to hide the car: no object, only in the way."""
    d = Drawing(460, 640)
    leaf_tones: list[tuple[Colour, Colour]] = [
        ((92, 158, 78), (40, 98, 52)),
        ((118, 182, 88), (52, 116, 56)),
        ((74, 138, 82), (28, 82, 52)),
    ]
    rng = np.random.default_rng([DEMO, 1])
    for i in range(26):
        angle = -np.pi / 2 + (i - 12.5) / 12.5 * 1.35 * (0.75 + 0.25 * rng.random())
        length, breadth = rng.uniform(150, 255) * (1 - 0.22 * abs(i - 12.5) / 12.5), rng.uniform(20, 31)
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        root = np.array([230 + (i - 12.5) * 3, 330.0])
        droop = np.array([0, 34 * np.cos(angle) ** 2])
        spine = [
            root,
            root + along * length * 0.5,
            root + along * length * 0.8 + droop * 0.4,
            root + along * length + droop,
        ]
        outline = [spine[0], spine[1] + across * breadth, spine[2] + across * breadth * 0.7, spine[3],
                   spine[2] - across * breadth * 0.7, spine[1] - across * breadth]  # fmt: skip
        light, deep = leaf_tones[int(rng.integers(3))]
        d.fill(curve([tuple(p) for p in outline]), light, deep)
        d.line([tuple(p) for p in spine], 2, (176, 214, 140), 0.5)
    d.fill([(58, 366), (402, 366), (374, 628), (86, 628)], (206, 110, 70), (150, 70, 44))
    d.fill(curve([(86, 622), (230, 637), (374, 622), (230, 612)]), (150, 70, 44))
    d.fill([(46, 314), (414, 314), (406, 376), (54, 376)], (222, 128, 84), (178, 88, 56))
    d.fill([(54, 374), (406, 374), (402, 390), (58, 390)], (110, 48, 30), opacity=0.5, soft=3, inside=True)
    for x, tone, amount in ((110, (255, 196, 150), 0.5), (390, (70, 26, 16), 0.55), (330, (70, 26, 16), 0.25)):
        d.fill([(x - 26, 316), (x + 26, 316), (x + 14, 626), (x - 14, 626)], tone, opacity=amount, soft=14, inside=True)
    band = [(40, 450), (420, 450), (420, 500), (40, 500)]
    d.fill(band, (240, 222, 190), (206, 182, 150), inside=True)
    for i in range(11):
        x = 50 + i * 33.5
        d.fill([(x, 494), (x + 16, 456), (x + 32, 494)], (60, 118, 132), (40, 92, 108), inside=True)
    pixels = d.sprite()
    x, y = 66.0, 172.0
    return [_ground_shadow(x + 10, y - 2, 92, 0.5), Thing(0, [_still(pixels, (230, 630))], _at(x, y, 0.0, 1.06))]


def _room(rng: np.random.Generator) -> np.ndarray:
    """A wooden table before a wall with a window's light, books, blocks and a picture: uint8 [720, 960, 3]."""
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

    # Planks, drawn flat and laid down in perspective.
    flat = np.zeros((800, 1400, 3), np.float32)
    for i in range(9):
        top, bottom = round(i * 800 / 9), round((i + 1) * 800 / 9)
        tone = np.array([186, 130, 82], np.float32) * rng.uniform(0.86, 1.08)
        fibre = cv2.resize(
            rng.random((bottom - top, 40), np.float32), (1400, bottom - top), interpolation=cv2.INTER_CUBIC
        )
        rings = noise(rng, bottom - top, 1400, 1.6).astype(np.float32) / 255
        grain = 0.55 * fibre + 0.45 * (0.5 + 0.5 * np.sin(rings * 26 + rng.uniform(0, 6)))
        flat[top:bottom] = tone * (0.84 + 0.24 * grain[..., None])
        flat[top : top + 3] *= 0.55
    goal = np.array([(-40, edge), (1000, edge), (1560, 730), (-600, 730)], np.float32)
    laid = cv2.getPerspectiveTransform(np.array([(0, 0), (1400, 0), (1400, 800), (0, 800)], np.float32), goal)
    table = cv2.warpPerspective(flat, laid, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    depth = np.clip((y - edge) / (height - edge), 0, 1)[..., None]
    table = table * (0.86 + 0.2 * depth) - 14 * (np.abs(x - 480) / 480)[..., None] ** 2
    image = np.where((y >= edge)[..., None], table, image)
    image[edge - 6 : edge] *= np.linspace(1, 0.72, 6, dtype=np.float32)[:, None, None]
    image[edge : edge + 5] = np.array([214, 164, 112], np.float32)
    image = np.clip(image, 0, 255).astype(np.uint8)

    for pixels, left, top in _furniture():
        rows, columns = pixels.shape[:2]
        blend(image, slice(top, top + rows), slice(left, left + columns), pixels)
    vignette = 1 - 0.16 * np.clip(((x - 480) / 480) ** 2 + ((y - 360) / 360) ** 2 - 0.35, 0, 2)
    return np.clip(image * vignette[..., None], 0, 255).astype(np.uint8)


def _furniture() -> list[tuple[np.ndarray, int, int]]:
    """Things that stand still at the back: premultiplied pixels, their left and their top."""
    books = Drawing(190, 190)
    books.fill(ellipse(95, 178, 92, 9), (40, 24, 16), opacity=0.45, soft=4)
    x = 12.0
    for w, h, light, deep in ((24, 132, (58, 98, 140), (34, 62, 96)), (30, 150, (222, 176, 76), (176, 128, 44)),
                              (20, 118, (96, 142, 106), (58, 96, 70)), (34, 140, (150, 76, 92), (104, 44, 62)),
                              (24, 126, (236, 226, 206), (190, 178, 158))):  # fmt: skip
        books.fill([(x, 178 - h), (x + w, 178 - h), (x + w, 178), (x, 178)], light, deep)
        books.fill([(x, 178 - h), (x + 5, 178 - h), (x + 5, 178), (x, 178)], (255, 255, 255), opacity=0.18)
        books.fill([(x + w - 4, 178 - h), (x + w, 178 - h), (x + w, 178), (x + w - 4, 178)], (0, 0, 0), opacity=0.22)
        for band in (0.16, 0.24, 0.8):
            books.line([(x + 4, 178 - h * (1 - band)), (x + w - 4, 178 - h * (1 - band))], 2.2, (250, 240, 216), 0.7)
        x += w + 1.5
    lean = [(x + 6, 176), (x + 30, 178), (x + 58, 62), (x + 34, 56)]
    books.fill(lean, (196, 92, 60), (140, 56, 36))

    blocks = Drawing(170, 150)
    blocks.fill(ellipse(84, 138, 80, 9), (40, 24, 16), opacity=0.45, soft=4)
    places = ((10, 78, "A", (64, 134, 196)), (78, 78, "B", (98, 168, 92)), (44, 16, "C", (238, 178, 64)))
    for left, top, letter, tone in places:
        deep = tuple(0.72 * v for v in tone)
        blocks.fill([(left, top), (left + 60, top), (left + 60, top + 60), (left, top + 60)], tone, deep)
        blocks.fill(
            [(left + 7, top + 7), (left + 53, top + 7), (left + 53, top + 53), (left + 7, top + 53)],
            (248, 238, 216),
            (226, 210, 182),
        )
        blocks.text(letter, left + 17, top + 46, 34, tone)

    picture = Drawing(170, 130)
    picture.fill([(0, 0), (170, 0), (170, 130), (0, 130)], (120, 82, 56), (88, 58, 38))
    picture.fill([(9, 9), (161, 9), (161, 121), (9, 121)], (246, 242, 232))
    picture.fill([(20, 20), (150, 20), (150, 110), (20, 110)], (150, 200, 226), (240, 226, 196))
    picture.fill(ellipse(118, 46, 12), (255, 236, 150))
    picture.fill(
        [(20, 110), (20, 84), (52, 56), (84, 88), (104, 70), (150, 100), (150, 110)], (98, 132, 142), (70, 104, 112)
    )
    picture.fill([(20, 110), (20, 98), (70, 92), (150, 104), (150, 110)], (86, 138, 88), (58, 104, 66))
    return [(picture.sprite(), 250, 128), (books.sprite(), 190, 208), (blocks.sprite(), 640, 248)]
