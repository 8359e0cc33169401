"""An episode of a simulated scene: things fall, roll, are pushed and carried, seen by a robot's camera."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from sam2_ros.scenes.motion import ramp, wander
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.simulation.arm import REACH, Arm, Waypoint, at
from sam2_ros.scenes.simulation.renderer import SAMPLES, SHADOWS, Renderer
from sam2_ros.scenes.simulation.room import BIN, FLOOR, TURNTABLE, furnish, occluder
from sam2_ros.scenes.simulation.things import JOINTED, RIGID, cable
from sam2_ros.scenes.simulation.world import CAPSULE, UP, World, add, frame, quaternion
from sam2_ros.scenes.synthetic import SceneSettings

SETTLING = 0.6  # seconds until things come to rest
EXPOSURES = 8  # maximum number of exposures for motion blur
STEP = 2.5  # maximum motion between two exposures, pixels


class Unstable(Exception):
    """The simulation diverged: take another seed."""


@dataclass
class Thing:
    """A thing that moves by physics."""

    name: str  # of its body
    object_id: int  # 0: clutter, not an object
    size: float
    spot: np.ndarray  # initial position, metres [3]
    velocity: np.ndarray | None = None  # on entering, m/s [3]; None: it lies there from the start


class Episode:
    """One scene, the same for the same state of `rng`. Objects have IDs from 1.

    Args:
        settings: `size` and `speed` have no effect.
    """

    def __init__(self, rng: np.random.Generator, settings: SceneSettings, pictures: Pictures) -> None:
        self.rng, self.settings = rng, settings
        world = World(pictures)
        quality, screen = world.spec.visual.quality, world.spec.visual.global_
        quality.shadowsize, quality.offsamples = SHADOWS, SAMPLES
        screen.offheight, screen.offwidth = settings.height, settings.width
        self.place = furnish(world, rng)
        self.patch = np.array(self.place.half) * (1 if self.place.kind in (BIN, TURNTABLE) else rng.uniform(0.4, 0.9))
        self.seconds = settings.frames / settings.fps * float(np.exp(rng.uniform(np.log(0.4), np.log(2))))
        count = int(rng.integers(settings.objects[0], settings.objects[1] + 1))

        self.arm: Arm | None = None
        self.arm_id = 0
        if rng.random() < (0.3 if self.place.kind == FLOOR else 0.65):
            self.heading = rng.uniform(0, 2 * np.pi)  # of the arm, seen from the middle
            towards = np.array([np.cos(self.heading), np.sin(self.heading)])
            base = np.array([*(towards * (max(self.place.half) * 0.6 + rng.uniform(0.3, 0.4))), self.place.ground])
            self.arm = Arm(world, rng, base)
            if count > 1 and rng.random() < 0.3:
                self.arm_id = count
        self.things = self._things(world, count - bool(self.arm_id))
        self.pendulum = self._pendulum(world) if rng.random() < 0.06 else None
        self.held: Thing | None = None
        if self.arm:
            graspable = [thing for thing in self.things if thing.velocity is None and thing.size < 0.3]
            if graspable and rng.random() < 0.7:
                self.held = graspable[int(rng.integers(len(graspable)))]
                world.spec.add_equality(
                    type=mujoco.mjtEq.mjEQ_WELD, objtype=mujoco.mjtObj.mjOBJ_BODY, active=False,
                    name1=self.arm.hand.name, name2=self.held.name, solref=[0.012, 1],
                )  # fmt: skip
                for body in self.arm.bodies:
                    world.spec.add_exclude(bodyname1=body.name, bodyname2=self.held.name)
        self._camera(world)
        if rng.random() < settings.occlusion:
            for _ in range(int(rng.integers(1, 3))):
                thing = self.things[int(rng.integers(len(self.things)))]
                way = self.eye[:2] - thing.spot[:2]
                away = thing.spot[:2] + way * rng.uniform(0.25, 0.5) + rng.normal(0, 0.04, 2)
                occluder(world, rng, away, self.place.ground)
        self.model = world.spec.compile()
        self.data = mujoco.MjData(self.model)
        self.labels = self._labels()

    def _things(self, world: World, objects: int) -> list[Thing]:
        rng, settings, place = self.rng, self.settings, self.place
        clutter = int(rng.integers(2, 9)) if place.kind == BIN else int(rng.integers(0, 5))
        things: list[Thing] = []
        size_of_all = rng.uniform(0.8, 1.3)
        recipe = None
        while len(things) < objects + clutter:
            twin = recipe is not None and rng.random() < settings.lookalikes
            if not twin:
                makers = JOINTED if rng.random() < 0.4 * settings.deformation + 0.05 else RIGID
                maker = list(makers)[int(rng.integers(len(makers)))]
                if place.kind == BIN and maker is cable:
                    continue
                recipe = maker, rng.uniform(*makers[maker]) * size_of_all, int(rng.integers(2**31))
            maker, size, look = recipe
            spot = self._spot(things, size)
            number = len(things)
            body = world.body(tuple(spot), self._turn(upright=rng.random() < 0.65), free=True)
            low = maker(world, body, np.random.default_rng(look), size)
            lying = abs(body.quat[0]) < 0.999 and (abs(body.quat[1]) + abs(body.quat[2])) > 1e-6
            spot[2] += (0.55 * size if lying else low) + 0.004
            velocity = None
            if number and rng.random() < 0.22:  # enters later
                spot, velocity = self._entrance(spot)
            body.pos = spot
            things.append(Thing(body.name, number + 1 if number < objects else 0, size, spot, velocity))
        return things

    def _spot(self, others: list[Thing], size: float) -> np.ndarray:
        """A free position; above the others if there is none."""
        rng, (x, y) = self.rng, self.patch
        for _ in range(25):
            spot = np.array([rng.uniform(-x, x), rng.uniform(-y, y), self.place.ground])
            if all(np.hypot(*(spot - t.spot)[:2]) > 0.45 * (size + t.size) for t in others):
                return spot
        return spot + (0.06 + 0.05 * len(others)) * UP

    def _turn(self, upright: bool) -> np.ndarray:
        if upright:
            angle = self.rng.uniform(0, 2 * np.pi)
            return np.array([np.cos(angle / 2), 0, 0, np.sin(angle / 2)])
        quat = self.rng.normal(0, 1, 4)
        return quat / np.linalg.norm(quat)

    def _entrance(self, spot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Position and velocity of a thing that enters: it falls, or rolls in from a side."""
        rng = self.rng
        if rng.random() < 0.55:
            return spot + rng.uniform(0.15, 0.6) * UP, rng.normal(0, 0.25, 3)
        angle, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 1.5)
        way = np.array([np.cos(angle), np.sin(angle), 0])
        return spot - way * rng.uniform(0.3, 0.7) + (0, 0, 0.03), way * speed

    def _pendulum(self, world: World) -> str:
        """Add a thing on a string that swings through the image; return the name of its body."""
        rng = self.rng
        long = 1.2
        low = self.place.ground + rng.uniform(0.12, 0.3)
        body = world.body((*rng.uniform(-0.15, 0.15, 2), low + long))
        body.add_joint(type=mujoco.mjtJoint.mjJNT_BALL, armature=1e-4)
        string = world.material(np.array([40.0, 40, 40]), 0)
        add(body, CAPSULE, string, (0.002, long / 2), (0, 0, -long / 2), touches=False)
        bob = body.add_body(pos=(0, 0, -long))
        makers = list(RIGID)
        makers[int(rng.integers(len(makers)))](world, bob, rng, rng.uniform(0.08, 0.16))
        return body.name

    def _camera(self, world: World) -> None:
        """Draw pose and motion of the camera: on a mast, or at the arm's wrist."""
        rng, s, place = self.rng, self.settings, self.place
        self.at_wrist = self.arm is not None and rng.random() < 0.3
        fov = rng.uniform(52, 72) if self.at_wrist else rng.uniform(34, 60)
        body = world.body((0, 0, 2), mocap=True)
        body.add_camera(fovy=fov)
        self.camera = body.name
        spots = np.stack([thing.spot for thing in self.things if thing.velocity is None])
        middle = spots.mean(0) * (1, 1, 0) + (0, 0, place.ground + 0.03)
        target = 0.5 * middle + 0.5 * spots[int(rng.integers(len(spots)))] * (1, 1, 0) + (0, 0, 0.5 * place.ground)
        low, high = {FLOOR: (10, 45), BIN: (38, 80)}.get(place.kind, (14, 62))
        raised = np.radians(rng.uniform(low, high))
        side = rng.uniform(0, 2 * np.pi)
        if self.arm and rng.random() < 0.8:  # not from behind the arm
            side = self.heading + np.pi + rng.uniform(-1.9, 1.9)
        spread = max(float(np.ptp(spots[:, :2], axis=0).max()), 0.2) + 0.14
        distance = np.clip(rng.uniform(0.7, 1.3) * spread / (2 * np.tan(np.radians(fov / 2))), 0.42, 1.4)
        self.target = target
        self.focal = min(s.height, s.width) / (2 * np.tan(np.radians(fov / 2)))  # pixels, about
        self.distance = float(distance)
        self.eye = target + distance * np.array(
            [np.cos(raised) * np.cos(side), np.cos(raised) * np.sin(side), np.sin(raised)]
        )
        frames = s.frames
        pace = rng.uniform(*s.camera_speed) * rng.random() ** 2  # pixels a frame when the shorter side has 256
        step = pace * 2 * np.tan(np.radians(fov / 2)) / 256 * distance  # metres at the target
        ways = [0.25, 0.25, 0.12]
        self.eye_path = np.stack([wander(rng, frames, a, step * rng.uniform(0, 2.2)) for a in ways], 1)
        self.target_path = np.stack([wander(rng, frames, a / 2, step * rng.uniform(0, 1)) for a in ways], 1)
        self.roll_path = rng.normal(0, 0.03) + wander(rng, frames, 0.1, step * rng.uniform(0, 0.5))
        if s.camera_speed[1] > 0 and rng.random() < 0.3:  # the robot drives, or shakes
            shake = step * rng.uniform(0.1, 0.5)
            self.eye_path = self.eye_path + np.cumsum(rng.normal(0, 0.3 * shake, (frames, 3)), 0)
            self.target_path = self.target_path + rng.normal(0, 0.2 * shake, (frames, 3))
        if rng.random() < 0.35 * s.leaving and s.camera_speed[1] > 0:  # turns away and back
            start = rng.uniform(0, 0.6) * frames
            quick, wait = rng.uniform(0.2, 0.4) * frames + 2, rng.uniform(0, 0.2) * frames
            glance = ramp(frames, start, start + quick) - ramp(frames, start + quick + wait, start + 2 * quick + wait)
            angle = rng.uniform(0, 2 * np.pi)
            aside = np.array([np.cos(angle), np.sin(angle), rng.uniform(-0.2, 0.4)])
            self.target_path = self.target_path + glance[:, None] * aside * distance * rng.uniform(0.4, 1.2)
        self.follows = bool(rng.random() < 0.2 and s.camera_speed[1] > 0)

    def _labels(self) -> np.ndarray:
        """The object ID of each geom, uint8 [geoms + 1]; the last entry is for no geom."""
        ids = np.zeros(self.model.nbody, np.uint8)
        for thing in self.things:
            ids[self.model.body(thing.name).id] = thing.object_id
        if self.arm:
            for body in (*self.arm.bodies, self.arm.foot):
                ids[self.model.body(body.name).id] = self.arm_id
        roots = self.model.body_rootid[self.model.geom_bodyid]
        return np.append(ids[roots], 0).astype(np.uint8)

    def _plan(self) -> list[Waypoint]:
        """The waypoints of the arm, from time 0 on."""
        rng, ground = self.rng, self.place.ground
        x, y = self.place.half
        tempo = rng.uniform(0.6, 1.3)

        def anywhere(low: float, high: float) -> np.ndarray:
            return np.array([rng.uniform(-x, x), rng.uniform(-y, y), ground + rng.uniform(low, high)])

        turn = rng.uniform(-np.pi, np.pi)
        plan = [Waypoint(0.0, anywhere(0.15, 0.35), turn, 0.09)]

        def then(seconds: float, point: np.ndarray, opening: float, turned: float = 0.0) -> None:
            last = plan[-1]
            plan.append(Waypoint(last.time + seconds * tempo, point, last.turn + turned, opening))

        if self.held is None:
            deep = rng.random() < 0.6 and self.place.kind != BIN  # sweeps things aside, or only hovers
            low, high = (0.02, 0.06) if deep else (0.12, 0.3)
            for _ in range(4):
                then(rng.uniform(0.5, 1.2), anywhere(low, high), 0.03 if deep else 0.08, rng.normal(0, 0.5))
            return plan
        body = self.data.body(self.held.name)
        point = np.array(body.xipos)
        point[2] = max(point[2] + 0.1 * self.held.size, ground + 0.012)
        grip = float(np.clip(0.3 * self.held.size, 0.012, 0.09))
        up = rng.uniform(0.12, 0.25) * UP
        then(0.9, point + up, 0.1, rng.normal(0, 0.6))
        then(0.6, point, 0.1)
        then(0.3, point, grip)
        self.grasp = plan[-1].time
        then(0.5, point + up, grip)
        if rng.random() < self.settings.leaving:  # carried out of the image, and maybe back
            out = np.array([np.cos(self.heading), np.sin(self.heading), 0]) * 0.9 + (0, 0, ground + 0.3)
            then(1.0, out, grip, rng.normal(0, 1))
            then(0.3, out, grip)
            if rng.random() < 0.4:
                self.release = 1e9
                return plan
        put = anywhere(0.0, 0.0)
        put[2] = point[2] + 0.01
        then(1.0, put + up, grip, rng.normal(0, 0.8))
        then(0.6, put, grip)
        self.release = plan[-1].time
        then(0.3, put, 0.1)
        then(0.6, put + up, 0.1)
        return plan

    def frames(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield images, uint8 [H, W, 3], and labels, uint8 [H, W]: the ID of the object in each pixel, 0 for none.

        Raises Unstable.
        """
        rng, s, model, data = self.rng, self.settings, self.model, self.data
        self.grasp = self.release = 1e9
        if self.pendulum:
            joint = data.joint(model.body(self.pendulum).jntadr[0])
            angle, tilt = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.6)
            joint.qpos[:] = [np.cos(tilt / 2), np.sin(tilt / 2) * np.cos(angle), np.sin(tilt / 2) * np.sin(angle), 0]
        self.spin = rng.uniform(0.3, 1.6) * rng.choice([-1, 1])
        above = (self.place.ground + 0.3) * UP
        self.plan = [Waypoint(0, above), Waypoint(1, above)]
        self.plan_start = 0.0
        self.entries = {thing.name: np.inf for thing in self.things if thing.velocity is not None}
        self._run(SETTLING)
        start = SETTLING
        if self.arm:
            self.plan, self.plan_start = self._plan(), SETTLING
            start += rng.uniform(0, max(self.plan[-1].time - 0.6 * self.seconds, 0))
        self.entries = {name: rng.uniform(start - 0.3, start + 0.8 * self.seconds) for name in self.entries}
        shutter = rng.uniform(0.3, 1) if rng.random() < 0.1 + 0.6 * s.blur else 0.0
        light = np.exp(wander(rng, s.frames, 0.5 * s.lighting, 0.1 * s.lighting)) if rng.random() < s.lighting else None
        diffuse = model.light_diffuse.copy()
        renderer = Renderer(model)
        try:
            for index in range(s.frames):
                now = start + index * self.seconds / s.frames
                if light is not None:  # a lamp dims and brightens
                    model.light_diffuse[0] = diffuse[0] * light[index]
                total = np.zeros((s.height, s.width, 3), np.float32)
                count = int(np.clip(np.ceil(self._motion(index) * shutter / STEP), 1, EXPOSURES))
                for exposure in range(count):
                    offset = exposure / count * shutter
                    self._run(now + offset * self.seconds / s.frames)
                    self._look(index + offset)
                    image = renderer.image(data)
                    if exposure == count // 2:
                        label = self.labels[renderer.parts()]
                    total += image
                if index == 0:  # the camera's exposure
                    gain = float(np.clip(rng.uniform(85, 125) / max(total.mean() / count, 1), 0.7, 2.6))
                yield np.clip(total * (gain / count), 0, 255).astype(np.uint8), label
        finally:
            renderer.close()

    def _run(self, time: float) -> None:
        """Simulate until a time, seconds."""
        model, data = self.model, self.data
        disc = model.body(TURNTABLE) if self.place.kind == TURNTABLE else None
        weld = data.eq_active if model.neq else None
        while data.time < time:
            if self.arm:
                clock = data.time - self.plan_start
                self.arm.move(model, data, *at(self.plan, clock))
                if weld is not None and self.held:
                    holding = self.grasp <= clock < self.release
                    if holding and not weld[0]:
                        self._hold()
                    weld[0] = holding
            for thing in self.things:
                if thing.name in self.entries:
                    joint = data.joint(model.body(thing.name).jntadr[0])
                    joint.qvel[:] = 0
                    joint.qpos[:3] = thing.spot + 30 * UP  # waits far above
                    if self.entries[thing.name] <= data.time:
                        joint.qpos[:3], joint.qvel[:3] = thing.spot, thing.velocity
                        del self.entries[thing.name]
            if disc is not None:
                data.qvel[model.jnt_dofadr[disc.jntadr[0]]] = self.spin
            before = data.time
            warns = mujoco.get_mju_user_warning()
            mujoco.set_mju_user_warning(lambda message: None)  # or it writes a file into the working directory
            mujoco.mj_step(model, data)
            mujoco.set_mju_user_warning(warns)
            if data.time <= before:  # MuJoCo resets itself when the simulation diverges
                raise Unstable
        mujoco.mj_forward(model, data)

    def _motion(self, frame_: int) -> float:
        """Approximate motion of things and camera until the next frame, pixels."""
        data, last = self.data, self.settings.frames - 1
        ends = [self._view(min(frame_ + step, last)) for step in (0, 1)]
        turned = [(target - eye) / np.linalg.norm(target - eye) for eye, target in ends]
        of_camera = np.linalg.norm(ends[1][0] - ends[0][0]) / self.distance + np.linalg.norm(turned[1] - turned[0])
        fastest = max(np.linalg.norm(data.body(thing.name).cvel[3:]) for thing in self.things)
        return (of_camera + fastest * self.seconds / self.settings.frames / self.distance) * self.focal

    def _hold(self) -> None:
        """Weld the held thing to the hand in its current pose."""
        hand, thing = self.data.body(self.arm.hand.name), self.data.body(self.held.name)
        turned = hand.xmat.reshape(3, 3).T
        data = self.model.eq_data[0]
        data[:3] = 0
        data[3:6] = turned @ (thing.xpos - hand.xpos)
        data[6:10] = quaternion(turned @ thing.xmat.reshape(3, 3))
        data[10] = 1

    def _view(self, frame_: float) -> tuple[np.ndarray, np.ndarray]:
        """Position of the camera on the mast, and the point it looks at, on a fractional frame: metres [3]."""
        steps = np.arange(self.settings.frames)
        eye, target = (
            start + np.array([np.interp(frame_, steps, axis) for axis in path.T])
            for start, path in ((self.eye, self.eye_path), (self.target, self.target_path))
        )
        if self.follows:
            thing = self.data.body(self.things[0].name).xipos
            target = target + 0.7 * (np.clip(thing, -0.8, 0.8 + self.place.ground) - self.things[0].spot)
        return np.maximum(eye, (-9, -9, self.place.ground + 0.06)), target

    def _look(self, frame_: float) -> None:
        """Move the camera to its pose on a fractional frame."""
        data = self.data
        roll = float(np.interp(frame_, np.arange(self.settings.frames), self.roll_path))
        eye, target = self._view(frame_)
        up = UP
        if self.at_wrist:
            point, turn, _ = at(self.plan, data.time - self.plan_start)
            up = np.array([np.cos(turn), np.sin(turn), 0])
            eye = point + UP * (REACH - 0.03) - up * 0.12
            target = point - up * 0.03 + 0.1 * (target - self.target)
        matrix = frame(eye - target, np.cross(target - eye, up))
        matrix = matrix @ np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        index = self.model.body(self.camera).mocapid[0]
        data.mocap_pos[index], data.mocap_quat[index] = eye, quaternion(matrix)
        mujoco.mj_kinematics(self.model, data)
        mujoco.mj_camlight(self.model, data)
