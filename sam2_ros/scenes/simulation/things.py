"""Things on a robot's table: mugs, bottles, boxes, tools, fruit, toys, cables, and compositions.

Every maker gives a body its parts, about `size` metres long (its longest side), and returns the initial height of the
body's origin above the ground.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import mujoco
import numpy as np

from sam2_ros.scenes.simulation import materials
from sam2_ros.scenes.simulation.materials import bright, pick, plain, printed
from sam2_ros.scenes.simulation.meshes import Mesh, ball, lathe, rounded_box, tube
from sam2_ros.scenes.simulation.world import BALL, BOX, CAPSULE, CYLINDER, UP, World, add

Body = mujoco.MjsBody
Maker = Callable[[World, Body, np.random.Generator, float], float]
SIDE = 128  # pixels of a texture
STEEL = np.array([168.0, 172, 178])
DARK = np.array([38.0, 40, 44])


def _glazed(world: World, rng: np.random.Generator) -> str:
    """Ceramics: one colour, sometimes with bands or a print."""
    look = plain(rng, SIDE, SIDE)
    if rng.random() < 0.5:
        top, high = int(rng.integers(10, 90)), int(rng.integers(6, 40))
        look[top : top + high] = bright(rng)
    elif rng.random() < 0.4:
        look = pick(rng, [printed, materials.skin, materials.stone], SIDE, world.pictures)
    return world.material(look, rng.uniform(0.4, 1))


def mug(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    high = 0.8 * size
    radius, wall = high * rng.uniform(0.36, 0.5), 0.05 * high
    foot = radius * rng.uniform(0.7, 1)
    profile = [(0, 0), (foot, 0), (radius, 0.3 * high), (radius, high), (radius - wall, high),
               (radius - wall, 0.3 * high), (foot - wall, 2 * wall), (0, 2 * wall)]  # fmt: skip
    glaze = _glazed(world, rng)
    add(body, world.mesh(lathe(np.array(profile))), glaze)
    bow = np.linspace(-1.25, 1.25, 12)
    handle = np.stack([radius + high * (0.3 * np.cos(bow) - 0.08), 0 * bow, high * (0.52 + 0.3 * np.sin(bow))])
    handle = np.concatenate([[[0.97 * radius, 0, handle[2, 0]]], handle.T, [[0.97 * radius, 0, handle[2, -1]]]])
    add(body, world.mesh(tube(handle, 0.055 * high)), glaze, density=100)
    return 0.0


def bottle(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    radius = size * rng.uniform(0.12, 0.2)
    neck, shoulder = radius * rng.uniform(0.3, 0.55), size * rng.uniform(0.55, 0.75)
    bend = np.linspace(0, np.pi / 2, 6)
    curve = np.stack([neck + (radius - neck) * np.cos(bend), shoulder + 0.16 * size * np.sin(bend)], 1)
    foot, top = [(0, 0), (0.9 * radius, 0), (radius, 0.03 * size)], [(neck, 0.93 * size), (0, 0.93 * size)]
    profile = np.concatenate([foot, curve, top])
    shine = rng.uniform(0.4, 1)
    add(body, world.mesh(lathe(profile)), world.material(bright(rng), shine))
    low, high = 0.15 * size, shoulder * rng.uniform(0.7, 0.95)
    label = lathe(np.array([(1.0, low), (1.02, low), (1.02, high), (1.0, high)]) * (radius, 1))
    print_ = world.material(printed(rng, SIDE, 2 * SIDE), 0.3)
    add(body, world.mesh(label), print_, touches=False, density=0)
    cap = world.material(bright(rng), 0.4)
    add(body, CYLINDER, cap, (1.25 * neck, 0.05 * size), (0, 0, 0.95 * size), touches=False)
    return 0.0


def can(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    radius = size * rng.uniform(0.25, 0.5)
    side = [(0.97 * radius, 0.02 * size), (radius, 0.05 * size), (radius, 0.95 * size), (0.97 * radius, 0.98 * size)]
    look = pick(rng, [printed], SIDE * 2, world.pictures, 0.3)
    metal = world.material(STEEL, 0.9)
    add(body, world.mesh(lathe(np.array([(0, 0.02 * size), *side, (0, 0.98 * size)]))), world.material(look, 0.6))
    for z in (0.02, 0.98):
        add(body, CYLINDER, metal, (0.95 * radius, 0.02 * size), (0, 0, z * size), touches=z < 0.5)
    return 0.02 * size


def carton(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    half = np.sort(size / 2 * np.array([1, rng.uniform(0.35, 0.9), rng.uniform(0.15, 0.7)]))[::-1]
    half = half[[0, 1, 2]] if rng.random() < 0.6 else half[[1, 2, 0]]
    look = pick(rng, [printed, printed, materials.cardboard], 2 * SIDE, world.pictures, 0.25)
    mesh = rounded_box(tuple(half), size * rng.uniform(0.004, 0.03), whole=rng.random() < 0.4)
    add(body, world.mesh(mesh), world.material(look, rng.uniform(0, 0.5)), density=250)
    return float(half[2])


def block(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    half = size / 2 * np.array([1, rng.uniform(0.5, 1), rng.uniform(0.5, 1)])
    look = pick(rng, [materials.wood, plain, plain], SIDE, world.pictures)
    mesh = rounded_box(tuple(half), size * rng.uniform(0.02, 0.12), whole=True)
    add(body, world.mesh(mesh), world.material(look, rng.uniform(0, 0.6)))
    return float(half[2])


def book(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    half = np.array([0.5, rng.uniform(0.33, 0.42), rng.uniform(0.03, 0.1)]) * size
    cover = world.material(pick(rng, [printed], 2 * SIDE, world.pictures, 0.5), 0.3)
    thin = 0.08 * half[2]
    sheet = world.mesh(rounded_box((half[0], half[1], thin), thin / 2, whole=True))
    for z in (-half[2] + thin, half[2] - thin):
        add(body, sheet, cover, at=(0, 0, z), touches=False)
    add(body, BOX, cover, (half[0], thin, half[2]), (0, -half[1] + thin, 0), touches=False)
    pages = half * (0.96, 0.95, 0.9)
    add(body, BOX, world.material(np.array([236.0, 230, 214]), 0), tuple(pages), touches=False)
    add(body, BOX, cover, tuple(half * 0.999))
    body.geoms[-1].group = 3  # for collisions only
    return float(half[2])


def bowl(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    radius, high = size / 2, size * rng.uniform(0.1, 0.4)
    bend = np.linspace(0, np.pi / 2, 7)
    outside = np.stack([0.35 * radius + 0.65 * radius * np.sin(bend), high * (1 - np.cos(bend))], 1)
    inside = (outside * (0.93, 0.95) + (0, 0.06 * high))[::-1]
    profile = np.concatenate([[(0, 0)], outside, inside, [(0, inside[-1, 1])]])
    add(body, world.mesh(lathe(profile, 36)), _glazed(world, rng))
    return 0.0


def fruit(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    skin = world.material(materials.skin(rng, SIDE, SIDE), rng.uniform(0.1, 0.6))
    kind = rng.random()
    if kind < 0.25:  # bent, like a banana
        bow = np.linspace(-0.9, 0.9, 12)
        radii = 0.1 * size * np.clip(1.15 * np.cos(bow * 1.5), 0.2, 1) ** 0.6
        path = np.stack([size * 0.62 * np.sin(bow), size * 0.62 * (np.cos(bow) - 0.85), 0 * bow], 1)
        add(body, world.mesh(tube(path, radii, 9)), skin)
        return 0.1 * size
    angle = np.linspace(-np.pi / 2, np.pi / 2, 14)
    dent, pear = rng.uniform(0, 0.25), rng.uniform(-0.1, 0.5) * (kind < 0.6)
    radius = np.cos(angle) * (1 - pear * np.clip(np.sin(angle), 0, 1))
    z = np.sin(angle) * (1 - dent * np.abs(np.sin(angle)) ** 6) * rng.uniform(0.8, 1.2)
    radius[[0, -1]] = 0
    profile = np.stack([radius, z], 1) * size / 2
    add(body, world.mesh(lathe(profile)), skin)
    if kind > 0.5:
        top = float(profile[-1, 1])
        add(body, CAPSULE, world.material(np.array([84.0, 62, 38]), 0), (0.02 * size, 0.06 * size),
            (0, 0, top + 0.03 * size), along=(0.3, 0.1, 1), touches=False)  # fmt: skip
    return -float(profile[:, 1].min())


def sphere(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    look = pick(rng, [plain, materials.cloth, materials.tiles, printed, materials.painted], SIDE, world.pictures)
    add(body, world.mesh(ball(size / 2)), world.material(look, rng.uniform(0, 0.9)), touches=False, density=0)
    add(body, BALL, world.material(bright(rng)), (size / 2,), density=200)
    body.geoms[-1].group = 3
    return size / 2


def ring(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    """A roll of tape, a ring."""
    outer, high = size / 2, size * rng.uniform(0.05, 0.25)
    inner = outer * rng.uniform(0.5, 0.85)
    look = plain(rng, SIDE, SIDE)
    look[SIDE // 2 :] = bright(rng) if rng.random() < 0.5 else look[SIDE // 2 :]
    profile = [(inner, -high), (outer, -high), (outer, high), (inner, high), (inner, -high)]
    add(body, world.mesh(lathe(np.array(profile), 36)), world.material(look, rng.uniform(0.1, 0.8)))
    return high


def stick(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    """A pen, a pencil, a brush, a candle: thin."""
    radius = size * rng.uniform(0.022, 0.05)
    half = size / 2
    barrel = [(0, -half), (radius, -half + radius), (radius, half - 4 * radius), (0.3 * radius, half), (0, half)]
    profile = np.array(barrel)[:, [1, 0]]
    path = np.stack([profile[:, 0], 0 * profile[:, 0], 0 * profile[:, 0]], 1)[1:-1]
    look = plain(rng, SIDE, 16)
    look[: int(rng.integers(5, 50))] = bright(rng)
    look[-int(rng.integers(5, 50)) :] = bright(rng)
    path = np.linspace(path[0], path[-1], 12)
    radii = np.interp(path[:, 0], profile[:, 0], profile[:, 1])
    add(body, world.mesh(tube(path, np.maximum(radii, 0.2 * radius), 10)), world.material(look, rng.uniform(0.2, 0.8)))
    return radius


def hammer(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    thick = 0.035 * size
    path = np.stack([np.linspace(-0.5, 0.4, 10) * size, np.zeros(10), np.zeros(10)], 1)
    radii = thick * (1 + 0.35 * np.cos(np.linspace(0, 6, 10)))
    grip = world.material(pick(rng, [materials.wood, plain], SIDE, world.pictures, 0), 0.3)
    add(body, world.mesh(tube(path, radii)), grip, density=300)
    steel = world.material(STEEL * rng.uniform(0.3, 1), 0.9)
    add(body, BOX, steel, (0.05 * size, 0.1 * size, 0.05 * size), (0.42 * size, 0, 0), density=1500)
    add(body, CYLINDER, steel, (0.06 * size, 0.04 * size), (0.42 * size, 0.13 * size, 0), along=(0, 1, 0), density=1500)
    return 0.06 * size


def driver(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    """A screwdriver, a knife, a brush: a grip and something thinner."""
    radius = 0.06 * size
    path = np.stack([np.linspace(-0.5, -0.08, 12) * size, np.zeros(12), np.zeros(12)], 1)
    radii = radius * np.array([0.5, 0.9, 1, 1, 0.98, 0.96, 0.94, 0.9, 0.75, 0.7, 0.85, 0.6])
    look = plain(rng, SIDE, SIDE)
    look[int(SIDE * 0.7) :] = bright(rng)
    add(body, world.mesh(tube(path, radii, 8)), world.material(look, 0.6))
    steel = world.material(STEEL, 1.0)
    if rng.random() < 0.5:
        add(body, CAPSULE, steel, (0.02 * size, 0.27 * size), (0.2 * size, 0, 0), along=(1, 0, 0))
    else:
        half = (0.28 * size, rng.uniform(0.02, 0.06) * size, 0.008 * size)
        add(body, world.mesh(rounded_box(half, half[2])), steel, at=(0.2 * size, 0, 0))
    return radius


def wrench(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    thick = 0.025 * size
    steel = world.material(STEEL * rng.uniform(0.6, 1.1) if rng.random() < 0.6 else bright(rng), 0.95)
    add(body, world.mesh(rounded_box((0.4 * size, 0.045 * size, thick), thick / 2)), steel, density=1500)
    bow = np.linspace(0.6, 2 * np.pi - 0.6, 18)
    jaw = np.stack([0.07 * np.cos(bow) + 0.44, 0.07 * np.sin(bow), 0 * bow], 1) * size
    add(body, world.mesh(tube(jaw, 1.2 * thick, 10)), steel, density=800)
    whole = lathe(np.array([(0.05, -1.1), (0.085, -1.1), (0.085, 1.1), (0.05, 1.1), (0.05, -1.1)]) * (size, thick))
    add(body, world.mesh(whole), steel, at=(-0.44 * size, 0, 0), density=800)
    return 1.2 * thick


def gadget(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    """A telephone, a remote control, a box with keys and a display."""
    half = np.array([0.5, rng.uniform(0.18, 0.35), rng.uniform(0.03, 0.1)]) * size
    tone = np.array([30.0, 32, 36]) if rng.random() < 0.6 else bright(rng)
    add(body, world.mesh(rounded_box(tuple(half), 0.08 * size)), world.material(tone, 0.7))
    top = float(half[2])
    if rng.random() < 0.5:
        look = pick(rng, [printed, materials.painted], SIDE, world.pictures, 0.6)
        screen = world.mesh(rounded_box((0.8 * half[0], 0.85 * half[1], 0.004 * size), 0.002 * size, whole=True))
        add(body, screen, world.material(look, 0.9, glow=0.4), at=(0, 0, top), touches=False)
        return top
    keys = world.material(bright(rng), 0.2)
    for x in np.linspace(-0.6, 0.3, int(rng.integers(3, 7))):
        for y in (-0.5, 0, 0.5):
            add(body, BALL, keys, (0.022 * size,), (x * half[0], y * half[1], top), touches=False)
    large = world.material(bright(rng), 0.5)
    add(body, BALL, large, (0.05 * size,), (0.7 * half[0], 0, top - 0.02 * size), touches=False)
    return top


def plush(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    """An animal or a doll whose head and limbs dangle."""
    fur = world.material(pick(rng, [materials.cloth, materials.plaster, plain], SIDE, world.pictures), 0)
    face, eye = world.material(bright(rng), 0), world.material(DARK, 0.9)
    add(body, BALL, fur, (0.2 * size,), touches=True, density=150)
    body.geoms[-1].group = 3
    belly = _scaled(ball(0.21 * size), (0.9, rng.uniform(1.0, 1.3), 1))
    add(body, world.mesh(belly), fur, touches=False)
    head = body.add_body(pos=(0, 0.3 * size, 0.03 * size))
    _joint(head, "ball", (0, -0.1 * size, 0), 0.002)
    add(head, world.mesh(ball(0.16 * size)), fur, density=100)
    for x in (-0.12, 0.12):
        add(head, BALL, fur, (0.06 * size,), (x * size, 0.1 * size, 0), touches=False)
        add(head, BALL, eye, (0.018 * size,), (0.5 * x * size, 0.05 * size, 0.15 * size), touches=False)
    add(head, BALL, face, (0.06 * size,), (0, -0.02 * size, 0.13 * size), touches=False)
    for x, y in ((-1, 0.6), (1, 0.6), (-0.7, -0.9), (0.7, -0.9)):
        limb = body.add_body(pos=(0.17 * x * size, 0.2 * y * size, 0))
        _joint(limb, "ball", (0, 0, 0), 0.002)
        reach = 0.18 * size * np.array([x, y * 0.6, 0])
        add(limb, CAPSULE, fur, (0.06 * size, 0.09 * size), tuple(reach * 0.6), along=tuple(reach), density=100)
    return 0.21 * size


def pliers(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    """Two levers on a pin: pliers, scissors."""
    steel, grip = world.material(STEEL, 0.95), world.material(bright(rng), 0.5)
    sharp = rng.random() < 0.5
    for side, lever in ((1, body), (-1, body.add_body())):
        if side < 0:
            joint = _joint(lever, "hinge", (0, 0, 0), 0.001)
            joint.axis, joint.range, joint.limited = (0, 0, 1), (-0.2, 0.9), True
        z = 0.012 * size * side
        blade = 0.4 * size
        half = (blade / 2, (0.02 if sharp else 0.035) * size, 0.012 * size)
        jaw = world.mesh(rounded_box(half, 0.01 * size))
        add(lever, jaw, steel, at=(blade / 2, 0.015 * size * side, z), density=1000)
        if sharp:
            bow = np.linspace(0, 2 * np.pi, 18)
            loop = np.stack([-0.36 + 0.11 * np.cos(bow), side * -0.13 + 0.085 * np.sin(bow), 0 * bow], 1) * size
            add(lever, world.mesh(tube(loop + z * UP, 0.022 * size, 9)), grip, density=400)
            shank = np.array([[0, 0, z], [-0.14 * size, side * -0.05 * size, z], [-0.27 * size, side * -0.1 * size, z]])
            add(lever, world.mesh(tube(shank, 0.02 * size, 9)), steel, touches=False)
        else:
            arm = np.stack([np.linspace(0, -0.55, 10), -side * 0.1 * np.sin(np.linspace(0, 2.2, 10)), np.zeros(10)], 1)
            add(lever, world.mesh(tube(arm * size + z * UP, 0.028 * size, 9)), grip)
    add(body, CYLINDER, steel, (0.035 * size, 0.035 * size), touches=False)
    return 0.04 * size


def case(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    """Two plates on a hinge: a portable computer, a case, a box with a lid."""
    half = np.array([0.5, 0.36, rng.uniform(0.012, 0.1)]) * size
    shell = world.material(pick(rng, [plain, materials.brushed, materials.wood], SIDE, world.pictures), 0.5)
    add(body, world.mesh(rounded_box(tuple(half), 0.02 * size)), shell)
    keys = np.full((48, 96, 3), 60, np.uint8)
    keys[4:-4:8, ::8] = keys[5:-4:8, 1::8] = 200
    add(body, world.mesh(rounded_box((0.85 * half[0], 0.6 * half[1], 0.003 * size), 0.001 * size, whole=True)),
        world.material(keys, 0.3), at=(0, 0, half[2]), touches=False)  # fmt: skip
    lid = body.add_body(pos=(0, half[1], half[2]))
    joint = _joint(lid, "hinge", (0, 0, 0), 0.02)
    joint.axis, joint.range, joint.limited = (1, 0, 0), (-0.2, 2.2), True
    thin = 0.012 * size
    add(lid, world.mesh(rounded_box((half[0], half[1], thin), thin)), shell, at=(0, 0.4 * half[1], 0.92 * half[1]),
        along=(0, -1, 0.35), density=150)  # fmt: skip
    look = pick(rng, [printed, materials.painted], SIDE, world.pictures, 0.7)
    screen = world.mesh(rounded_box((0.9 * half[0], 0.85 * half[1], 0.002 * size), 0.001 * size, whole=True))
    add(lid, screen, world.material(look, 0.8, glow=0.4), touches=False,
        at=(0, 0.4 * half[1] - thin * 0.95, 0.92 * half[1] + thin * 0.33), along=(0, -1, 0.35))  # fmt: skip
    return float(half[2])


def car(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    """A toy on four wheels that roll."""
    paint = world.material(bright(rng), 0.8)
    wheel = 0.1 * size
    long, wide = 0.46 * size, 0.2 * size
    add(body, world.mesh(rounded_box((long, wide, 0.09 * size), 0.06 * size)), paint, at=(0, 0, 0.06 * size))
    glass = world.material(np.array([60.0, 84, 100]), 1.0)
    cabin = (rng.uniform(0.15, 0.3) * size, 0.9 * wide, 0.09 * size)
    x = rng.uniform(-0.15, 0.1) * size
    add(body, world.mesh(rounded_box(cabin, 0.05 * size)), glass, at=(x, 0, 0.2 * size))
    roof = world.mesh(rounded_box((cabin[0] * 0.85, cabin[1], 0.012 * size), 0.01 * size))
    add(body, roof, paint, at=(x, 0, 0.285 * size), touches=False)
    rubber, hub = world.material(DARK, 0.2), world.material(STEEL * 1.2, 0.8)
    for ahead in (-0.3, 0.3):
        for side in (-1, 1):
            axle = body.add_body(pos=(ahead * size, side * 1.02 * wide, 0))
            joint = _joint(axle, "hinge", (0, 0, 0), 1e-6)
            joint.axis = (0, 1, 0)
            add(axle, CYLINDER, rubber, (wheel, 0.04 * size), along=(0, 1, 0))
            add(axle, BOX, hub, (0.055 * size, 0.043 * size, 0.015 * size), touches=False)
            add(axle, BOX, hub, (0.015 * size, 0.043 * size, 0.055 * size), touches=False)
    return wheel


def cable(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    """A soft chain of thin capsules, with a plug at one end."""
    links = int(rng.integers(12, 20))
    radius = size * rng.uniform(0.009, 0.02)
    half = size / links * rng.uniform(0.6, 1)
    skin = world.material(bright(rng), rng.uniform(0.1, 0.6))
    turn, curl = 0.0, rng.uniform(-0.35, 0.35)
    link = body
    for index in range(links):
        if index:
            turn = float(np.clip(curl + rng.normal(0, 0.25), -0.8, 0.8))
            link = link.add_body(pos=(2 * half, 0, 0), quat=(np.cos(turn / 2), 0, 0, np.sin(turn / 2)))
            _joint(link, "ball", (0, 0, 0), 4e-4, 4e-4)
        add(link, CAPSULE, skin, (radius, half), (half, 0, 0), along=(1, 0, 0))
        link.geoms[-1].contype = 2  # collides with all but itself
    if rng.random() < 0.7:
        plug = world.mesh(rounded_box((3 * radius, 1.8 * radius, 1.4 * radius), 0.5 * radius))
        add(link, plug, world.material(bright(rng) * 0.6, 0.4), at=(2 * half + 2 * radius, 0, 0))
    return 1.5 * radius


def composition(world: World, body: Body, rng: np.random.Generator, size: float) -> float:
    """A composition of a few solids."""
    low = 0.0
    at = np.zeros(3)
    for _ in range(int(rng.integers(1, 5))):
        surface = world.material(pick(rng, materials.ANY, SIDE, world.pictures, 0.4), rng.uniform(0, 1))
        half = size * rng.uniform(0.08, 0.3, 3)
        kind = rng.random()
        if kind < 0.4:
            mesh = rounded_box(tuple(half), half.min() * rng.uniform(0.05, 0.98), whole=rng.random() < 0.5)
        elif kind < 0.7:
            heights = np.linspace(-1, 1, 6) * half[2]
            radii = half[0] * rng.uniform(0.3, 1, 6)
            mesh = lathe(np.concatenate([[(0, heights[0])], np.stack([radii, heights], 1), [(0, heights[-1])]]))
        else:
            mesh = _scaled(ball(1.0, 20), tuple(half))
        add(body, world.mesh(mesh), surface, at=tuple(at))
        low = min(low, float(at[2] + mesh.vertices[:, 2].min()))
        at = at + rng.uniform(-1, 1, 3) * half
    return -low


def _scaled(mesh: Mesh, factors: tuple[float, float, float]) -> Mesh:
    return replace(mesh, vertices=mesh.vertices * np.asarray(factors))


def _joint(
    body: Body, kind: str, at: tuple[float, float, float], damping: float, stiffness: float = 0.0
) -> mujoco.MjsJoint:
    joint = body.add_joint(type=getattr(mujoco.mjtJoint, f"mjJNT_{kind.upper()}"), pos=at, armature=1e-5)
    for name, value in (("damping", damping), ("stiffness", stiffness)):
        if np.ndim(getattr(joint, name)):  # newer versions of MuJoCo: the coefficients of a polynomial
            getattr(joint, name)[0] = value
        else:
            setattr(joint, name, value)
    return joint


RIGID: dict[Maker, tuple[float, float]] = {  # and how long they are, metres
    mug: (0.08, 0.13), bottle: (0.15, 0.3), can: (0.08, 0.14), carton: (0.08, 0.28), block: (0.03, 0.09),
    book: (0.15, 0.26), bowl: (0.1, 0.24), fruit: (0.06, 0.18), sphere: (0.04, 0.2), ring: (0.05, 0.16),
    stick: (0.1, 0.22), hammer: (0.2, 0.32), driver: (0.15, 0.25), wrench: (0.14, 0.25), gadget: (0.1, 0.2),
    composition: (0.08, 0.25),
}  # fmt: skip
JOINTED: dict[Maker, tuple[float, float]] = {
    plush: (0.15, 0.3), pliers: (0.14, 0.22), case: (0.18, 0.32), car: (0.08, 0.22), cable: (0.35, 0.7),
}  # fmt: skip
