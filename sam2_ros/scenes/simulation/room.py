"""A room with furniture and lights, and a table, a bin or the bare floor in its middle."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from sam2_ros.scenes.simulation import materials
from sam2_ros.scenes.simulation.materials import bright, pick, plain
from sam2_ros.scenes.simulation.meshes import lathe, rounded_box
from sam2_ros.scenes.simulation.world import BALL, BOX, CAPSULE, CYLINDER, ELLIPSOID, PLANE, UP, World, add, quaternion

TABLE, BIN, FLOOR, TURNTABLE = "table", "bin", "floor", "turntable"
HEIGHT = 0.74  # of a table, metres


@dataclass(frozen=True)
class Place:
    """The surface that things lie on."""

    kind: str
    ground: float  # height of the surface, metres
    half: tuple[float, float]  # of the surface that can be used, around the middle of the room
    lights: int  # of the room; the first casts shadows


def furnish(world: World, rng: np.random.Generator) -> Place:
    """Build a room around the origin; return the surface for things."""
    kind = str(rng.choice([TABLE, BIN, FLOOR, TURNTABLE], p=[0.5, 0.24, 0.18, 0.08]))
    ground = 0.0 if kind == FLOOR else HEIGHT
    spec = world.spec
    spec.stat.center, spec.stat.extent = [0, 0, ground], 1.6
    spec.visual.map.znear, spec.visual.map.zfar = 0.02, 12.0
    spec.visual.map.shadowscale = 0.4  # shadows fall around the middle only, but sharp ones
    wide, deep, high = rng.uniform(1.6, 3, 3) * (1, 1, 0) + (0, 0, 2.8)
    body = world.body((0, 0, 0))
    floor = pick(rng, materials.FLOORS, 512, world.pictures)
    mirror = float(rng.choice([0, 0.04, 0.12], p=[0.8, 0.12, 0.08]))
    add(body, PLANE, world.material(floor, rng.uniform(0, 0.4), 6, mirror=mirror), (8, 8, 0.1))
    paint = world.material(pick(rng, materials.WALLS, 512, world.pictures, 0.3), 0.05, rng.uniform(1, 3))
    other = paint
    if rng.random() < 0.4:
        other = world.material(pick(rng, materials.WALLS, 256, world.pictures, 0.3), 0.05, 2)
    board = world.material(bright(rng) * 0.5 + 110, 0.3)
    for x, y, material in ((1, 0, paint), (-1, 0, paint), (0, 1, other), (0, -1, other)):
        inwards = np.array([[y, 0, -x], [-x, 0, -y], [0, 1, 0]], float)
        wall = world.body((x * wide, y * deep, high / 2), quaternion(inwards))
        long = deep if x else wide
        add(wall, PLANE, material, (long, high / 2, 0.1), touches=False)
        add(wall, BOX, board, (long, 0.05, 0.01), (0, 0.05 - high / 2, 0), touches=False)
        _along_the_wall(world, rng, wall, long, high)
    lights = _lights(world, rng, ground, high)
    half = _table(world, rng, kind)
    return Place(kind, ground, half, lights)


def _along_the_wall(world: World, rng: np.random.Generator, wall: mujoco.MjsBody, long: float, high: float) -> None:
    """Pictures on a wall and furniture before it; x along the wall, y up, z into the room."""
    down = -high / 2
    if rng.random() < 0.6:  # a picture, a poster, a window, a display
        size = rng.uniform(0.2, 0.5, 2)
        look = pick(rng, [materials.printed, materials.painted, materials.tiles], 256, world.pictures, 0.7)
        at = (rng.uniform(-0.8, 0.8) * (long - 0.5), rng.uniform(0.0, 0.5), 0.02)
        edge = world.material(bright(rng) * 0.6, 0.3)
        add(wall, BOX, edge, (size[0] + 0.03, size[1] + 0.03, 0.015), at, touches=False)
        sheet = world.mesh(rounded_box((*size, 0.02), 0.004, whole=True))
        add(wall, sheet, world.material(look, 0.3, glow=rng.choice([0.1, 0.1, 0.6])), at=at, touches=False)
    for _ in range(int(rng.integers(0, 4))):
        x = rng.uniform(-1, 1) * (long - 0.5)
        kind = rng.random()
        if kind < 0.4:  # a cupboard
            half = np.array([rng.uniform(0.2, 0.6), rng.uniform(0.3, 1.0), 0.2])
            look = pick(rng, [materials.wood, plain, materials.plaster], 128, world.pictures, 0.1)
            add(wall, world.mesh(rounded_box(tuple(half), 0.01, whole=True)), world.material(look, 0.3),
                at=(x, down + half[1], half[2]), touches=False)  # fmt: skip
            line, knob = world.material(np.array([40.0, 38, 36])), world.material(np.array([190.0, 190, 186]), 0.9)
            add(wall, BOX, line, (0.003, half[1] * 0.95, half[2] + 0.002), (x, down + half[1], half[2]), touches=False)
            for side in (-0.05, 0.05):
                add(wall, BALL, knob, (0.018,), (x + side, down + half[1], 2 * half[2] + 0.01), touches=False)
        elif kind < 0.75:  # a shelf of books and boxes
            y = rng.uniform(-0.5, 0.5)
            half = rng.uniform(0.3, 0.6)
            board = world.material(materials.wood(rng, 64, 64), 0.2)
            add(wall, BOX, board, (half, 0.015, 0.13), (x, y, 0.13), touches=False)
            left = x - half
            while left < x + half - 0.06:
                size = np.array([rng.uniform(0.012, 0.05), rng.uniform(0.08, 0.15), rng.uniform(0.07, 0.11)])
                if rng.random() < 0.85:
                    add(wall, BOX, world.material(bright(rng), 0.2), tuple(size),
                        (left + size[0], y + 0.015 + size[1], 0.13), touches=False)  # fmt: skip
                left += 2 * size[0] + 0.004
        else:  # a plant in a pot
            pot = lathe(np.array([(0, 0), (0.1, 0), (0.15, 0.26), (0.13, 0.26), (0, 0.24)]))
            plant = wall.add_body(pos=(x, down, 0.3), quat=(np.sqrt(0.5), -np.sqrt(0.5), 0, 0))
            add(plant, world.mesh(pot), world.material(bright(rng), 0.3), touches=False)
            green = world.material(np.array([60.0, 120, 50]) * rng.uniform(0.6, 1.3), 0.3)
            for _ in range(16):
                way = rng.normal(0, 1, 3) * (1, 1, 0.5) + (0, 0, 1.1)
                way *= rng.uniform(0.2, 0.5) / np.linalg.norm(way)
                leaf, middle = (0.045, 0.008, np.linalg.norm(way) / 2), way / 2 + 0.26 * UP
                add(plant, ELLIPSOID, green, leaf, tuple(middle), along=tuple(way), touches=False)


def _lights(world: World, rng: np.random.Generator, ground: float, high: float) -> int:
    head = world.spec.visual.headlight
    level = rng.uniform(0.6, 1.1)
    ambient = rng.uniform(0.22, 0.42)
    head.ambient, head.diffuse, head.specular = [ambient] * 3, [rng.uniform(0, 0.15)] * 3, [0.0] * 3
    warmth = rng.uniform(-0.12, 0.12)
    tint = np.array([1 + warmth, 1, 1 - warmth])
    angle, tilt = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.9)
    key = np.array([np.cos(angle) * np.tan(tilt), np.sin(angle) * np.tan(tilt), 1]) * min(1.7, high - 0.2)
    light = world.spec.worldbody.add_light(pos=key + ground * UP, castshadow=True)
    light.dir = -key
    light.cutoff, light.exponent = 70, 1
    light.diffuse, light.specular = 0.75 * level * tint, 0.5 * tint
    light.attenuation = [1, 0, 0]
    count = 1
    for _ in range(int(rng.integers(1, 3))):
        way = rng.normal(0, 1, 3) * (1, 1, 0.3) + (0, 0, 1)
        fill = world.spec.worldbody.add_light(pos=way * 2 + ground * UP, castshadow=False)
        fill.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
        fill.dir = -way
        fill.diffuse, fill.specular = rng.uniform(0.1, 0.3) / tint * np.ones(3), [0.1] * 3
        count += 1
    return count


def _table(world: World, rng: np.random.Generator, kind: str) -> tuple[float, float]:
    """Put a table, and a bin or a turntable on it, into the room; half the sides of the surface to use."""
    if kind == FLOOR:
        if rng.random() < 0.4:  # a carpet
            half = rng.uniform(0.5, 1.2, 2)
            add(world.body((0, 0, 0)), world.mesh(rounded_box((*half, 0.006), 0.004, whole=True)),
                world.material(materials.cloth(rng, 256, 256), 0), touches=False)  # fmt: skip
        return 0.45, 0.45
    half = np.array([rng.uniform(0.45, 0.8), rng.uniform(0.36, 0.55)])
    look = pick(rng, materials.TABLES, 512, world.pictures)
    mirror = float(rng.choice([0, 0.08, 0.2], p=[0.75, 0.15, 0.1]))
    table = world.body((0, 0, HEIGHT))
    top = world.material(look, rng.uniform(0.05, 0.6), mirror=mirror)
    add(table, world.mesh(rounded_box((*half, 0.02), 0.008, whole=True)), top, at=(0, 0, -0.02), touches=False)
    add(table, BOX, world.material(bright(rng)), (*half, 0.05), (0, 0, -0.05))
    table.geoms[-1].group = 3
    leg = world.material(bright(rng) if rng.random() < 0.4 else np.array([70.0, 70, 74]), 0.5)
    for x in (-1, 1):
        for y in (-1, 1):
            add(table, BOX, leg, (0.025, 0.025, HEIGHT / 2 - 0.02),
                (x * (half[0] - 0.06), y * (half[1] - 0.06), -HEIGHT / 2 - 0.02), touches=False)  # fmt: skip
    if kind == BIN:
        return _bin(world, rng)
    if kind == TURNTABLE:
        radius = float(min(half) * 0.85)
        disc = world.body((0, 0, HEIGHT + 0.03))
        disc.name = TURNTABLE
        top = pick(rng, [materials.wood, plain, materials.brushed, materials.tiles], 256, world.pictures)
        mesh = lathe(np.array([(0, -0.025), (radius, -0.025), (radius, -0.002), (radius * 0.98, 0), (0, 0)]), 48)
        add(disc, world.mesh(mesh), world.material(top, 0.4), density=2000)
        disc.add_joint(type=mujoco.mjtJoint.mjJNT_HINGE, axis=(0, 0, 1), armature=5.0)
        return radius * 0.62, radius * 0.62
    if rng.random() < 0.35:  # a board on two supports, with room below
        where = np.array([rng.uniform(-0.15, 0.15), half[1] - 0.16])
        long, tall = rng.uniform(0.2, 0.4), rng.uniform(0.12, 0.26)
        rack = world.body((*where, HEIGHT))
        material = world.material(pick(rng, [materials.wood, plain], 128, world.pictures), 0.3)
        add(rack, world.mesh(rounded_box((long, 0.12, 0.01), 0.004, whole=True)), material, at=(0, 0, tall))
        for x in (-1, 1):
            add(rack, BOX, material, (0.01, 0.12, tall / 2), (x * (long - 0.012), 0, tall / 2))
    if rng.random() < 0.3:  # a mat, a sheet of paper, a cloth
        look = pick(rng, [materials.cloth, materials.plaster, materials.printed, plain], 256, world.pictures, 0.3)
        angle = rng.uniform(0, np.pi)
        turn = np.array([np.cos(angle), 0, 0, np.sin(angle)])
        mat = world.body((rng.uniform(-0.2, 0.2), rng.uniform(-0.1, 0.1), HEIGHT), turn)
        sheet = world.mesh(rounded_box((*rng.uniform(0.1, 0.3, 2), 0.002), 0.001, whole=True))
        add(mat, sheet, world.material(look, 0.1), touches=False)
    return float(half[0]) - 0.12, float(half[1]) - 0.1


def _bin(world: World, rng: np.random.Generator) -> tuple[float, float]:
    half = np.array([rng.uniform(0.22, 0.34), rng.uniform(0.18, 0.26)])
    tall, thin = rng.uniform(0.05, 0.12), 0.008
    look = materials.cardboard(rng, 256, 256) if rng.random() < 0.25 else plain(rng, 128, 128)
    material = world.material(look, rng.uniform(0, 0.5))
    tote = world.body((0, 0, HEIGHT))
    add(tote, BOX, material, (*half, 0.004), (0, 0, 0.004))
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        size = (thin, half[1], tall) if x else (half[0], thin, tall)
        at = (x * half[0], y * half[1], tall)
        mesh = rounded_box(size, 0.006, whole=True)
        add(tote, world.mesh(mesh), material, at=at)
        rim = (thin * 2, half[1] + 2 * thin, 0.008) if x else (half[0] + 2 * thin, 2 * thin, 0.008)
        add(tote, world.mesh(rounded_box(rim, 0.006)), material, at=(*at[:2], 2 * tall), touches=False)
    return float(half[0]) - 0.07, float(half[1]) - 0.07


def occluder(world: World, rng: np.random.Generator, at: np.ndarray, ground: float) -> None:
    """Add an occluder: a lamp, a post, a vase, a box.

    Args:
        at: position on the ground, x and y.
    """
    stand = world.body((float(at[0]), float(at[1]), ground))
    kind = rng.random()
    material = world.material(pick(rng, materials.ANY, 128, world.pictures), rng.uniform(0, 0.7))
    tall = rng.uniform(0.18, 0.4)
    if kind < 0.35:
        radius = rng.uniform(0.015, 0.05)
        add(stand, CYLINDER, material, (radius, tall / 2), (0, 0, tall / 2))
        add(stand, CYLINDER, material, (2 * radius, 0.008), (0, 0, 0.008))
    elif kind < 0.6:
        radii = rng.uniform(0.02, 0.07, 6)
        profile = np.stack([np.interp(np.linspace(0, 5, 16), np.arange(6), radii), np.linspace(0, tall, 16)], 1)
        add(stand, world.mesh(lathe(np.concatenate([[(0, 0)], profile, [(0, tall)]]))), material)
    elif kind < 0.85:
        half = (rng.uniform(0.03, 0.1), rng.uniform(0.02, 0.08), tall / 2)
        add(stand, world.mesh(rounded_box(half, 0.008)), material, at=(0, 0, tall / 2))
    else:
        green = world.material(np.array([60.0, 124, 50]) * rng.uniform(0.6, 1.3), 0.3)
        pot = np.array([(0, 0), (0.04, 0), (0.06, 0.09), (0.05, 0.09), (0, 0.085)])
        add(stand, world.mesh(lathe(pot)), material)
        for _ in range(14):
            way = rng.normal(0, 1, 3) * (1, 1, 0.4) + (0, 0, 1)
            way *= rng.uniform(0.08, 0.2) / np.linalg.norm(way)
            half, stem, tip = np.linalg.norm(way) / 2, way / 2 + 0.08 * UP, way + 0.08 * UP
            add(stand, CAPSULE, green, (0.004, half), tuple(stem), along=tuple(way), touches=False)
            add(stand, ELLIPSOID, green, (0.022, 0.005, 0.035), tuple(tip), along=tuple(way), touches=False)
