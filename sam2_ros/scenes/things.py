"""Random things: sprites of one or several jointed parts, which may bend."""

from __future__ import annotations

import cv2
import numpy as np

from sam2_ros.scenes.motion import shift, transform, wander
from sam2_ros.scenes.outlines import limb, outline
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.rendering import Bend, Part, sprite
from sam2_ros.scenes.textures import colour, noise, recoloured, surface


def _shaded(rng: np.random.Generator, colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Shade colours as a surface that curves towards its outline, lit from one side."""
    size = max(alpha.shape)
    softness = max(1.0, size * rng.uniform(0.02, 0.14))
    coarse = max(1, int(softness / 2))  # a wide blur needs no full resolution
    shape = (-(-alpha.shape[1] // coarse), -(-alpha.shape[0] // coarse))
    height = cv2.GaussianBlur(cv2.resize(alpha, shape, interpolation=cv2.INTER_AREA), (0, 0), softness / coarse)
    height = cv2.resize(height, alpha.shape[::-1], interpolation=cv2.INTER_CUBIC)
    angle = rng.uniform(0, 2 * np.pi)
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
    slope = kernel * np.cos(angle) + kernel.T * np.sin(angle)
    light = cv2.filter2D(height, cv2.CV_16S, slope * rng.uniform(0.15, 0.9) * size / 90)
    light = cv2.convertScaleAbs(np.clip(light, -110, 110) + np.int16(128))
    if rng.random() < 0.3:  # wrinkles
        light = cv2.addWeighted(light, 1, noise(rng, *alpha.shape, rng.uniform(2, 8)), 0.4, -51)
    return cv2.multiply(colours, cv2.merge([light] * 3), scale=1 / 128)


def textured(rng: np.random.Generator, alpha: np.ndarray, pictures: Pictures, materials: float = 1.0) -> np.ndarray:
    """Fill an outline with a surface, often of several materials: premultiplied uint8 [h, w, 4]."""
    height, width = alpha.shape
    colours = surface(rng, height, width, pictures, materials)
    chances = [1 - 0.6 * materials, 0.3 * materials, 0.2 * materials, 0.1 * materials]
    for _ in range(int(rng.choice(4, p=chances))):  # a patch, a band, a cap of another material
        if rng.random() < 0.5:
            region = (noise(rng, height, width, rng.uniform(1, 3)) > rng.integers(100, 190)).astype(np.uint8)
        else:
            region = np.zeros((height, width), np.uint8)
            corners = rng.uniform(-0.2, 1.2, (4, 2)) * (width, height)
            cv2.fillConvexPoly(region, cv2.convexHull(corners.astype(np.float32)).astype(np.int32), 1)
        plain = rng.random() >= 0.6
        other = np.full_like(colours, colour(rng)) if plain else surface(rng, height, width, pictures, materials)
        cv2.copyTo(other, region, colours)
    if rng.random() < 0.7:
        colours = _shaded(rng, colours, alpha)
    if rng.random() < 0.15:  # a drawn contour
        thick = max(1, round(width * rng.uniform(0.01, 0.04)))
        inside = cv2.erode(alpha, np.ones((2 * thick + 1, 2 * thick + 1), np.uint8))
        cv2.copyTo(np.full_like(colours, colour(rng) * 0.4), 255 - inside, colours)
    return sprite(colours, alpha)


def _cut_out(rng: np.random.Generator, size: int, pictures: Pictures, materials: float) -> np.ndarray:
    """A random cut-out scaled to `size`, with its own or another surface."""
    picture = pictures.cutout(rng)
    factor = (size - 2) / max(picture.shape[:2])
    height, width = (max(2, round(n * factor)) for n in picture.shape[:2])
    method = cv2.INTER_AREA if factor < 0.7 else cv2.INTER_LINEAR
    picture = cv2.resize(picture, (width, height), interpolation=method)
    if rng.random() < 0.5:
        picture = cv2.flip(picture, 1)
    picture = cv2.copyMakeBorder(picture, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    alpha = cv2.extractChannel(picture, 3)
    if rng.random() < 0.25:
        return textured(rng, alpha, pictures, materials)
    colours = recoloured(rng, cv2.cvtColor(picture, cv2.COLOR_RGBA2RGB), 1.2)
    if rng.random() < 0.3:
        colours = _shaded(rng, colours, alpha)
    if rng.random() < 0.3:  # flat clip art gets some material
        grain = surface(rng, *alpha.shape, pictures, materials)
        strength = rng.uniform(0.1, 0.5)
        colours = cv2.addWeighted(colours, 1 - strength / 2, grain, strength, -64 * strength)
    return sprite(colours, alpha)


def bending(rng: np.random.Generator, frames: int, size: float, strength: float) -> Bend:
    """Waves along which a thing of about twice `size` pixels bends; `strength` is relative to that."""
    count = 3
    amplitude = size * strength * rng.uniform(0.2, 1)
    speed = amplitude * np.exp(rng.uniform(-3.5, -0.7))
    return Bend(
        waves=rng.normal(0, 1.3, (count, 2)),
        phases=rng.uniform(0, 6.3, count),
        directions=rng.normal(0, 0.6, (count, 2)),
        amplitudes=np.stack([wander(rng, frames, amplitude, speed) for _ in range(count)], 1),
    )


def make(
    rng: np.random.Generator, frames: int, size: float, deformation: float, pictures: Pictures, materials: float = 1.0
) -> list[Part]:
    """Make a thing of about `size` pixels: its parts from back to front.

    `deformation` (0 .. 1) sets how much it bends and swings its limbs; `materials` (0 .. 1) how much its surfaces
    differ: at 0 all parts look alike, except those of cut-outs.
    """
    pixels = max(10, round(size))
    if pictures.cutouts and rng.random() < 0.6:
        body = _cut_out(rng, pixels, pictures, materials)
    else:
        body = textured(rng, outline(rng, pixels), pictures, materials)
    height, width = body.shape[:2]
    still = np.broadcast_to(shift(-(width - 1) / 2, -(height - 1) / 2), (frames, 3, 3))
    bends = deformation > 0 and rng.random() < 0.5 + deformation / 2
    parts = [Part(body, still, bending(rng, frames, size / 2, 0.25 * deformation) if bends else None)]
    if pixels < 24 or rng.random() > 0.2:
        return parts

    alike = rng.random() < 1 - 0.4 * materials
    front, back = [], []
    for _ in range(int(rng.integers(1, 5))):
        length, thick = max(4, round(size * rng.uniform(0.25, 0.55))), max(2, round(size * rng.uniform(0.04, 0.12)))
        angle, joint = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.32) * size
        pose = shift(joint * np.cos(angle), joint * np.sin(angle))[None]
        rest = angle + rng.normal(0, 0.4)
        for _ in range(int(rng.integers(1, 3))):  # one or two segments
            mask = limb(rng, length, thick)
            if alike:
                colours = recoloured(rng, _swatch(rng, body, *mask.shape), 0.3)
            else:
                colours = surface(rng, *mask.shape, pictures)
            swing = rest + wander(rng, frames, 0.9 * deformation, np.exp(rng.uniform(-5, -1.3)))
            zero, one = np.zeros(frames), np.ones(frames)
            pose = pose @ transform(zero, zero, swing, one, one)
            limb_part = Part(sprite(_shaded(rng, colours, mask), mask), pose @ shift(-thick, -thick + 0.5))
            (front if rng.random() < 0.5 else back).append(limb_part)
            pose, rest = pose @ shift(length, 0), rng.normal(0, 0.7)
            length = max(4, round(length * 0.8))
    return back + parts + front


def _swatch(rng: np.random.Generator, body: np.ndarray, height: int, width: int) -> np.ndarray:
    """The material of the body for a limb: its middle, stretched."""
    rows, columns = body.shape[:2]
    middle = body[rows // 3 : max(rows // 3 + 2, 2 * rows // 3), columns // 3 : max(columns // 3 + 2, 2 * columns // 3)]
    solid = np.ascontiguousarray(middle[..., :3])
    if middle[..., 3].mean() < 200:
        solid = np.full_like(solid, colour(rng))
    return cv2.resize(solid, (width, height))
