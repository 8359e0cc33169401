"""A robot's arm with a gripper, moved along waypoints by the geometry of its two links."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from sam2_ros.scenes.simulation.materials import bright
from sam2_ros.scenes.simulation.meshes import lathe, rounded_box
from sam2_ros.scenes.simulation.world import BOX, CAPSULE, CYLINDER, UP, World, add, frame, quaternion

UPPER, FORE = 0.5, 0.48  # lengths of the links, metres
REACH = 0.19  # from the wrist to between the finger tips


@dataclass(frozen=True)
class Waypoint:
    """Pose of the gripper at a time; it moves smoothly between waypoints."""

    time: float  # seconds
    point: np.ndarray  # between the finger tips, metres [3]
    turn: float = 0.0  # about the vertical, radians
    opening: float = 0.08  # between the fingers, metres


class Arm:
    """Built into a world before it is compiled.

    Args:
        base: position of the arm, metres [3].
    """

    def __init__(self, world: World, rng: np.random.Generator, base: np.ndarray) -> None:
        tone = np.array([232.0, 232, 228]) if rng.random() < 0.5 else bright(rng)
        shell, dark = world.material(tone, 0.6), world.material(np.array([44.0, 46, 50]), 0.5)
        metal = world.material(np.array([170.0, 172, 176]), 0.9)
        self.shoulder = np.asarray(base, float) + 0.3 * UP
        thick = rng.uniform(0.04, 0.055)
        foot = world.body(tuple(base))
        profile = [(0, 0), (2 * thick, 0), (2 * thick, 0.03), (1.5 * thick, 0.05), (1.4 * thick, 0.22), (0, 0.24)]
        add(foot, world.mesh(lathe(np.array(profile))), shell)
        turret, upper, fore, hand, left, right = (world.body(tuple(base), mocap=True) for _ in range(6))
        for joint, radius in ((turret, 1.35), (fore, 1.2), (hand, 1.0)):
            add(joint, CYLINDER, dark, (radius * thick, 1.45 * thick), along=(0, 1, 0), touches=False)
            add(joint, CYLINDER, shell, (0.8 * radius * thick, 1.6 * thick), along=(0, 1, 0), touches=False)
        for link, length, radius in ((upper, UPPER, 1.0), (fore, FORE, 0.82)):
            heights = np.linspace(0, length, 9)
            radii = radius * thick * (1 - 0.25 * np.sin(np.linspace(0, np.pi, 9)))
            sides = np.stack([radii, heights], 1)
            add(link, world.mesh(lathe(np.concatenate([[(0, 0)], sides, [(0, length)]]))), shell, touches=False)
            add(link, CAPSULE, shell, (0.7 * radius * thick, length / 2), (0, 0, length / 2))
            link.geoms[-1].group = 3
        add(hand, CYLINDER, metal, (0.03, 0.02), (0, 0, 0.05), touches=False)
        palm = world.mesh(rounded_box((0.03, 0.075, 0.028), 0.012))
        add(hand, palm, shell if rng.random() < 0.5 else dark, at=(0, 0, 0.09))
        for finger in (left, right):
            add(finger, world.mesh(rounded_box((0.011, 0.007, 0.038), 0.003)), metal, at=(0, 0, 0.15))
            add(finger, BOX, dark, (0.0115, 0.004, 0.012), (0, 0, 0.178), touches=False)
        self.bodies = (turret, upper, fore, hand, left, right)
        self.hand = hand
        self.foot = foot

    def move(self, model: mujoco.MjModel, data: mujoco.MjData, point: np.ndarray, turn: float, opening: float) -> None:
        """Move the arm so that its finger tips point down around `point`."""
        wrist = point + UP * REACH
        way = wrist - self.shoulder
        distance = np.linalg.norm(way)
        limit = 0.995 * (UPPER + FORE)
        if distance > limit:
            way, distance = way * (limit / distance), limit
        wrist = self.shoulder + way
        bend = (UPPER**2 + distance**2 - FORE**2) / (2 * UPPER * max(distance, 1e-6))
        along = way / distance
        side = np.cross(along, UP)
        side = side / max(np.linalg.norm(side), 1e-6)
        up = np.cross(side, along)
        angle = np.arccos(np.clip(bend, -1, 1))
        elbow = self.shoulder + UPPER * (np.cos(angle) * along + np.sin(angle) * up)
        heading = np.array([np.cos(turn), np.sin(turn), 0])
        gripper = frame(-UP, heading)
        shift = gripper[:, 1] * (opening / 2 + 0.007)
        poses = (
            (self.shoulder, frame(UP, np.cross(side, UP))),
            (self.shoulder, frame(elbow - self.shoulder, np.cross(side, elbow - self.shoulder))),
            (elbow, frame(wrist - elbow, np.cross(side, wrist - elbow))),
            (wrist, gripper),
            (wrist + shift, gripper),
            (wrist - shift, gripper),
        )
        for body, (place, matrix) in zip(self.bodies, poses, strict=True):
            index = model.body(body.name).mocapid[0]
            data.mocap_pos[index] = place
            data.mocap_quat[index] = quaternion(matrix)


def at(plan: list[Waypoint], time: float) -> tuple[np.ndarray, float, float]:
    """Point, rotation and opening of a plan at a time."""
    times = [waypoint.time for waypoint in plan]
    index = int(np.clip(np.searchsorted(times, time) - 1, 0, len(plan) - 2))
    first, second = plan[index], plan[index + 1]
    part = np.clip((time - first.time) / max(second.time - first.time, 1e-6), 0, 1)
    part = part * part * (3 - 2 * part)
    point = first.point + part * (second.point - first.point)
    return (
        point,
        first.turn + part * (second.turn - first.turn),
        first.opening + part * (second.opening - first.opening),
    )
