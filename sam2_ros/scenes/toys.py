"""Hand-drawn toys seen from their side, which stand, drive and roll in the demo and in table scenes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from sam2_ros.scenes.drawing import FINE, Colour, Drawing, curve, ellipse
from sam2_ros.scenes.motion import shift, transform
from sam2_ros.scenes.rendering import Part

SHARP = 2.0
"""Pixels of a drawing per unit; the whole table is 640 units wide."""


@dataclass(frozen=True)
class Piece:
    """A sprite and its position on a toy."""

    pixels: np.ndarray  # uint8 [h, w, 4], colours multiplied by alpha
    anchor: tuple[float, float]  # a point of the sprite, pixels ...
    place: tuple[float, float] = (0.0, 0.0)  # ... and its position, units right of and below the toy's origin
    radius: float = 0.0  # of a wheel that rolls as the toy moves, units; 0: fixed
    sharp: float = SHARP  # pixels per unit

    def smaller(self, factor: float) -> Piece:
        """The piece with fewer pixels."""
        height, width = (max(1, round(n * factor)) for n in self.pixels.shape[:2])
        pixels = cv2.resize(self.pixels, (width, height), interpolation=cv2.INTER_AREA)
        # Coordinates refer to centres of pixels, hence the halves.
        x, y = ((a + 0.5) * factor - 0.5 for a in self.anchor)
        return Piece(pixels, (x, y), self.place, self.radius, self.sharp * factor)


@dataclass(frozen=True)
class Toy:
    """A toy, whose origin is the middle of its base."""

    pieces: tuple[Piece, ...]  # from back to front
    half: float  # of its width, units
    height: float  # units

    def parts(self, way: np.ndarray) -> list[Part]:
        """The toy's parts on each frame, after it has moved `way` [T] of its units to the right."""
        zero, one = np.zeros(len(way)), np.ones(len(way))
        parts = []
        for piece in self.pieces:
            pose = np.diag([1 / piece.sharp, 1 / piece.sharp, 1.0]) @ shift(-piece.anchor[0], -piece.anchor[1])
            turn = way / piece.radius if piece.radius else zero
            x, y = piece.place
            parts.append(Part(piece.pixels, transform(zero + x, zero + y, turn, one, one) @ pose))
        return parts


def _toy(drawing: Drawing, anchor: tuple[float, float], *pieces: Piece) -> Toy:
    """A toy of a drawing that stands on its point `anchor` (pixels), with more pieces before it."""
    sprite = drawing.sprite()
    columns = np.flatnonzero(sprite[..., 3].max(0) > 127)
    rows = np.flatnonzero(sprite[..., 3].max(1) > 127)
    half = max(anchor[0] - columns[0], columns[-1] - anchor[0]) / SHARP
    return Toy((Piece(sprite, anchor), *pieces), half, (anchor[1] - rows[0]) / SHARP)


def shadow(half: float, strength: float = 0.46) -> Piece:
    """The soft dark spot under a thing of half width `half`; too faint to count in any mask."""
    w, h = round(half * 2.8 * SHARP), round(half * 0.62 * SHARP)
    drawing = Drawing(w, h)
    drawing.fill(ellipse(w / 2, h / 2, w * 0.36, h * 0.26), (38, 22, 14), opacity=strength, soft=h * 0.1)
    return Piece(drawing.sprite(), (w / 2, h / 2))


def car() -> Toy:
    """A red car, 200 units long, on two wheels."""
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

    w = Drawing(84, 84)
    w.fill(ellipse(42, 42, 39), (62, 62, 66), (30, 30, 34))
    w.fill(ellipse(42, 42, 26), (224, 226, 230), (172, 176, 184))
    w.fill(ellipse(42, 42, 21), (150, 154, 162), (118, 122, 130))
    for spoke in range(5):
        a = 2 * np.pi * spoke / 5
        w.line([(42, 42), (42 + 22 * np.cos(a), 42 + 22 * np.sin(a))], 6, (232, 234, 238))
    w.fill(ellipse(42, 42, 7), (240, 60, 52), (170, 20, 24))
    wheel = w.sprite()
    wheels_on = [Piece(wheel, (41.5, 41.5), (wx - 105, -21), radius=20) for wx in wheels]
    return _toy(d, (105 * k, 115 * k), *wheels_on)


def duck() -> Toy:
    """A rubber duck, 110 units wide."""
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
    return _toy(d, (122, 230))


def ball() -> Toy:
    """A beach ball of 66 units."""
    d = Drawing(140, 140)
    d.fill(ellipse(70, 70, 66), (250, 248, 242), (226, 222, 214))
    for i, colour in enumerate([(38, 120, 214), (250, 196, 40), (52, 168, 96)]):
        a = 2 * np.pi * i / 3
        edge = ellipse(70, 70, 66)[np.arange(11) + round(64 * i / 3)]
        bow = 0.5 * (edge[0] + edge[-1]) + 9 * np.array([np.sin(a), -np.cos(a)])
        d.fill(np.concatenate([edge, [bow * 0.5 + 35, (70, 70)]]), colour, inside=True)
    d.fill(ellipse(70, 70, 9), (250, 248, 242), (230, 226, 220))
    d.line(ellipse(70, 70, 65), 2, (70, 60, 60), 0.35)
    shine = Drawing(140, 140)
    shine.fill(ellipse(70, 70, 66), (0, 0, 0), opacity=0.004)
    shine.fill(ellipse(52, 44, 20, 15), (255, 255, 255), opacity=0.4, soft=6)
    middle = (69.5, 69.5)
    pieces = (Piece(d.sprite(), middle, (0, -33), radius=33), Piece(shine.sprite(), middle, (0, -33)))
    return Toy(pieces, 33, 66)


def pot(rng: np.random.Generator) -> Toy:
    """A flower pot with a plant, 180 units wide and 300 high."""
    d = Drawing(460, 640)
    leaf_tones: list[tuple[Colour, Colour]] = [
        ((92, 158, 78), (40, 98, 52)),
        ((118, 182, 88), (52, 116, 56)),
        ((74, 138, 82), (28, 82, 52)),
    ]
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
    return _toy(d, (230, 630))


def bus() -> Toy:
    """A blue bus, 190 units long."""
    d = Drawing(400, 230)
    d.fill(curve([(14, 40), (40, 14), (200, 10), (360, 14), (388, 40), (392, 150), (384, 196), (16, 196), (8, 150)]),
           (70, 128, 206), (34, 74, 148))  # fmt: skip
    d.fill([(0, 150), (400, 150), (400, 168), (0, 168)], (244, 240, 228), (212, 206, 192), inside=True)
    for left in (36, 104, 172, 240):
        d.fill([(left, 48), (left + 54, 48), (left + 54, 108), (left, 108)], (206, 230, 242), (116, 158, 180))
    d.fill([(308, 48), (372, 48), (380, 112), (308, 112)], (214, 236, 246), (120, 162, 184))
    d.line([(303, 44), (303, 192)], 2.4, (24, 50, 100), 0.7)
    d.fill(ellipse(384, 160, 9, 12), (255, 244, 180), (240, 190, 80), inside=True)
    for x in (86, 316):
        d.fill(ellipse(x, 190, 44), (20, 30, 52), (10, 16, 28), inside=True)
    tyre = Drawing(80, 80)
    tyre.fill(ellipse(40, 40, 37), (60, 60, 64), (26, 26, 30))
    tyre.fill(ellipse(40, 40, 20), (226, 222, 210), (160, 156, 148))
    for angle in np.arange(0, 6.2, np.pi / 2):
        tyre.fill(ellipse(40 + 11 * np.cos(angle), 40 + 11 * np.sin(angle), 4), (90, 88, 84))
    wheel = tyre.sprite()
    return _toy(d, (200, 224), *(Piece(wheel, (39.5, 39.5), ((x - 200) / 2, -18), radius=18.5) for x in (86, 316)))


def engine() -> Toy:
    """A green steam engine, 150 units long."""
    d = Drawing(320, 260)
    d.fill([(40, 20), (140, 20), (140, 44), (40, 44)], (64, 66, 74), (34, 36, 42))
    d.fill([(52, 40), (128, 40), (128, 206), (52, 206)], (72, 156, 98), (34, 96, 58))
    d.fill([(68, 60), (112, 60), (112, 112), (68, 112)], (222, 232, 226), (140, 168, 160))
    d.fill(curve([(124, 96), (270, 92), (290, 116), (290, 176), (270, 198), (124, 204)]), (90, 178, 114), (36, 102, 62))
    for x in (160, 220):
        d.line([(x, 96), (x, 200)], 7, (236, 196, 84), 0.95)
    d.fill([(236, 36), (268, 36), (262, 96), (242, 96)], (70, 72, 80), (36, 38, 46))
    d.fill([(228, 24), (276, 24), (272, 44), (232, 44)], (214, 66, 58), (150, 34, 34))
    d.fill(curve([(176, 96), (180, 72), (192, 66), (204, 72), (208, 96)]), (240, 202, 92), (190, 144, 44))
    d.fill([(44, 198), (298, 198), (312, 222), (44, 222)], (196, 60, 54), (130, 30, 32))
    hub = Drawing(72, 72)
    hub.fill(ellipse(36, 36, 33), (214, 70, 60), (150, 34, 34))
    hub.fill(ellipse(36, 36, 23), (60, 62, 70), (34, 36, 42))
    for angle in np.arange(0, 6.2, np.pi / 3):
        hub.line([(36, 36), (36 + 24 * np.cos(angle), 36 + 24 * np.sin(angle))], 5, (220, 80, 70))
    wheel = hub.sprite()
    return _toy(
        d, (170, 252), *(Piece(wheel, (35.5, 35.5), ((x - 170) / 2, -16.5), radius=16.5) for x in (88, 172, 256))
    )


def mug() -> Toy:
    """A blue mug with a band, 90 units wide."""
    d = Drawing(210, 190)
    d.fill(ellipse(152, 96, 46, 52), (66, 120, 190), (38, 78, 140))
    d.alpha[(_inside(d, ellipse(150, 96, 27, 33)))] = 0
    d.fill([(20, 26), (150, 26), (146, 168), (128, 182), (42, 182), (24, 168)], (84, 142, 210), (44, 86, 152))
    d.fill(ellipse(85, 26, 65, 12), (40, 52, 70), (62, 84, 112))
    d.fill([(0, 84), (152, 84), (152, 122), (0, 122)], (240, 232, 214), (204, 194, 176), inside=True)
    d.fill([(34, 34), (50, 34), (54, 174), (44, 174)], (255, 255, 255), opacity=0.3, soft=4, inside=True)
    return _toy(d, (85, 180))


def bottle() -> Toy:
    """A green bottle with a label, 60 units wide and 150 high."""
    d = Drawing(140, 330)
    d.fill(curve([(54, 40), (86, 40), (90, 100), (124, 150), (126, 240), (124, 310), (70, 322), (16, 310), (14, 240),
                  (16, 150), (50, 100)]), (66, 140, 84), (30, 84, 52))  # fmt: skip
    d.fill([(48, 14), (92, 14), (92, 48), (48, 48)], (206, 66, 58), (150, 36, 36))
    d.fill([(0, 184), (140, 184), (140, 266), (0, 266)], (244, 236, 214), (222, 208, 178), inside=True)
    d.fill(ellipse(70, 226, 24), (230, 150, 60), (196, 104, 36))
    d.fill([(28, 150), (38, 150), (38, 304), (28, 304)], (255, 255, 255), opacity=0.34, soft=3, inside=True)
    return _toy(d, (70, 318))


def block() -> Toy:
    """A wooden block with a letter, 60 units."""
    d = Drawing(130, 130)
    d.fill([(4, 4), (126, 4), (126, 126), (4, 126)], (226, 92, 76), (166, 52, 46))
    d.fill([(18, 18), (112, 18), (112, 112), (18, 112)], (248, 238, 216), (226, 210, 182))
    d.text("R", 42, 92, 66, (206, 74, 60))
    return _toy(d, (65, 126))


def robot() -> Toy:
    """A toy robot, 80 units wide and 125 high."""
    d = Drawing(200, 270)
    d.line([(100, 34), (100, 8)], 5, (130, 136, 146))
    d.fill(ellipse(100, 9, 8), (236, 92, 70), (180, 50, 40))
    for x in (52, 116):
        d.fill([(x, 200), (x + 32, 200), (x + 36, 264), (x - 4, 264)], (120, 128, 140), (74, 80, 92))
    for x, tilt in ((16, -8), (156, 8)):
        d.fill(
            curve([(x, 110), (x + 26, 110), (x + 24 + tilt, 196), (x + 2 + tilt, 196)]), (150, 158, 168), (94, 100, 112)
        )
    d.fill([(40, 104), (160, 104), (154, 210), (46, 210)], (238, 160, 64), (190, 106, 34))
    d.fill([(58, 30), (142, 30), (146, 98), (54, 98)], (176, 186, 196), (122, 132, 144))
    for x in (82, 118):
        d.fill(ellipse(x, 56, 12), (250, 250, 240))
        d.fill(ellipse(x + 2, 57, 6), (30, 40, 60))
    d.line([(76, 82), (124, 82)], 5, (60, 66, 78))
    d.fill([(62, 124), (138, 124), (138, 168), (62, 168)], (58, 70, 92), (40, 48, 66))
    for x, tone in ((78, (90, 220, 130)), (100, (250, 210, 90)), (122, (240, 90, 80))):
        d.fill(ellipse(x, 146, 8), tone)
    return _toy(d, (100, 264))


def bear() -> Toy:
    """A brown teddy bear, 90 units wide and 115 high."""
    d = Drawing(220, 250)
    light, deep, pale = (190, 134, 84), (136, 88, 50), (232, 200, 160)
    for x in (52, 168):
        d.fill(ellipse(x, 32, 27), light, deep)
        d.fill(ellipse(x, 34, 14), pale, (206, 168, 126))
    for x, y in ((30, 150), (190, 150)):
        d.fill(ellipse(x, y, 24, 40), light, deep)
    for x in (62, 158):
        d.fill(ellipse(x, 218, 40, 28), light, deep)
        d.fill(ellipse(x, 222, 20, 15), pale, (206, 168, 126))
    d.fill(ellipse(110, 170, 66, 66), (196, 140, 88), (138, 90, 52))
    d.fill(ellipse(110, 178, 38, 42), pale, (214, 178, 136))
    d.fill(ellipse(110, 72, 68, 60), (198, 142, 90), (150, 100, 60))
    d.fill(ellipse(110, 92, 32, 26), pale, (216, 180, 138))
    d.fill(ellipse(110, 80, 11, 8), (50, 34, 28))
    d.line([(110, 88), (110, 102)], 2.5, (70, 46, 36))
    for x in (82, 138):
        d.fill(ellipse(x, 60, 8), (34, 26, 24))
        d.fill(ellipse(x + 2, 57, 2.6), (255, 255, 255))
    return _toy(d, (110, 244))


def boat() -> Toy:
    """A sailing boat, 110 units long and 110 high."""
    d = Drawing(250, 240)
    d.fill([(116, 10), (124, 10), (124, 180), (116, 180)], (150, 104, 64), (110, 74, 44))
    d.fill(curve([(128, 18), (200, 100), (222, 160), (128, 160)], 8), (250, 246, 236), (216, 210, 200))
    d.fill([(112, 34), (112, 160), (40, 160)], (236, 96, 76), (186, 58, 48))
    d.fill(curve([(12, 172), (60, 178), (190, 178), (240, 168), (206, 228), (60, 230)]), (70, 110, 170), (36, 62, 112))
    d.fill([(0, 178), (250, 178), (250, 192), (0, 192)], (246, 240, 226), (216, 208, 190), inside=True)
    return _toy(d, (122, 228))


def rocket() -> Toy:
    """A rocket that stands on its fins, 60 units wide and 135 high."""
    d = Drawing(170, 290)
    for side in (-1, 1):
        d.fill([(85 + side * 30, 190), (85 + side * 74, 250), (85 + side * 70, 284), (85 + side * 26, 252)],
               (226, 74, 62), (160, 38, 38))  # fmt: skip
    d.fill(curve([(85, 8), (116, 60), (124, 140), (116, 240), (85, 262), (54, 240), (46, 140), (54, 60)]),
           (240, 240, 236), (196, 198, 204))  # fmt: skip
    d.fill([(0, 0), (170, 0), (170, 66), (0, 66)], (232, 84, 70), (196, 52, 48), inside=True)
    d.fill([(0, 196), (170, 196), (170, 216), (0, 216)], (60, 100, 170), (44, 76, 136), inside=True)
    d.fill(ellipse(85, 120, 24), (70, 84, 110), (48, 58, 80))
    d.fill(ellipse(85, 120, 17), (150, 208, 236), (90, 150, 190))
    return _toy(d, (85, 280))


def apple() -> Toy:
    """A red apple, 56 units."""
    d = Drawing(130, 140)
    d.line([(66, 40), (72, 10)], 5, (110, 74, 44))
    d.fill(curve([(74, 24), (100, 8), (118, 20), (96, 34)]), (110, 178, 84), (64, 126, 52))
    d.fill(curve([(66, 38), (100, 28), (124, 62), (112, 112), (84, 132), (66, 126), (46, 132), (18, 112), (6, 62),
                  (30, 28)]), (226, 64, 58), (146, 26, 34))  # fmt: skip
    d.glow(40, 58, 22, (255, 210, 190), 0.6)
    return _toy(d, (66, 130))


def house() -> Toy:
    """A doll's house, 130 units wide and 140 high."""
    d = Drawing(290, 300)
    d.fill([(206, 30), (240, 30), (240, 110), (206, 110)], (170, 92, 70), (126, 62, 48))
    d.fill([(34, 120), (256, 120), (256, 292), (34, 292)], (240, 214, 160), (208, 176, 120))
    d.fill([(145, 14), (284, 130), (6, 130)], (190, 74, 62), (140, 44, 42))
    for x in (60, 184):
        d.fill([(x, 150), (x + 48, 150), (x + 48, 204), (x, 204)], (250, 250, 244))
        d.fill([(x + 5, 155), (x + 43, 155), (x + 43, 199), (x + 5, 199)], (120, 176, 210), (80, 132, 170))
        d.line([(x + 24, 152), (x + 24, 202)], 4, (250, 250, 244))
    d.fill([(120, 210), (170, 210), (170, 292), (120, 292)], (96, 130, 90), (60, 92, 60))
    return _toy(d, (145, 292))


def carton() -> Toy:
    """A cardboard box, 120 units wide and 100 high."""
    d = Drawing(260, 220)
    d.fill([(10, 10), (250, 10), (250, 212), (10, 212)], (206, 164, 112), (164, 122, 78))
    d.fill([(112, 10), (148, 10), (148, 212), (112, 212)], (226, 200, 156), (190, 158, 112))
    d.line([(10, 30), (250, 30)], 2, (120, 86, 52), 0.7)
    d.fill([(170, 130), (236, 130), (236, 188), (170, 188)], (244, 240, 230), (226, 220, 206))
    for y in (144, 156, 168):
        d.line([(178, y), (228, y)], 3, (90, 90, 96), 0.8)
    return _toy(d, (130, 212))


def _inside(drawing: Drawing, points: np.ndarray) -> np.ndarray:
    """The part of a drawing within a polygon: bool, in the drawing's fine pixels."""
    mask = np.zeros(drawing.alpha.shape, np.uint8)
    cv2.fillPoly(mask, [np.round(points * FINE).astype(np.int32)], 1)
    return mask.astype(bool)


VEHICLES: dict[str, Callable[[], Toy]] = {"car": car, "bus": bus, "engine": engine, "ball": ball}
"""Toys that move along a table."""
STANDING: dict[str, Callable[[], Toy]] = {
    "duck": duck,
    "mug": mug,
    "bottle": bottle,
    "block": block,
    "robot": robot,
    "bear": bear,
    "boat": boat,
    "rocket": rocket,
    "apple": apple,
}
"""Small toys, which may be moved too."""
LARGE: dict[str, Callable[[], Toy]] = {
    "house": house,
    "carton": carton,
    "pot": lambda: pot(np.random.default_rng(0)),
}
"""Large toys, which others hide behind."""
