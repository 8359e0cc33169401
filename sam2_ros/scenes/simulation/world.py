"""Builds a MuJoCo model of materials, meshes and bodies."""

from __future__ import annotations

import mujoco
import numpy as np

from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.simulation.meshes import Mesh

BOX, BALL, CAPSULE, CYLINDER, PLANE, ELLIPSOID = (
    getattr(mujoco.mjtGeom, f"mjGEOM_{kind}") for kind in ("BOX", "SPHERE", "CAPSULE", "CYLINDER", "PLANE", "ELLIPSOID")
)
UP = np.array([0.0, 0, 1])


def frame(z: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A rotation matrix whose z axis is `z` and whose x axis is as close to `x` as possible."""
    z = z / np.linalg.norm(z)
    x = x - z * (x @ z)
    if np.linalg.norm(x) < 1e-6:
        x = np.cross(z, np.eye(3)[int(np.abs(z).argmin())])
    x = x / np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], 1)


def quaternion(matrix: np.ndarray) -> np.ndarray:
    """The quaternion of a rotation matrix, float [4], w first."""
    result = np.zeros(4)
    mujoco.mju_mat2Quat(result, np.ascontiguousarray(matrix).ravel())
    return result


class World:
    """Collects the parts of a scene. Lengths are metres, z points up.

    Args:
        pictures: pictures whose crops may cover surfaces.
    """

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        self.spec = mujoco.MjSpec()
        self.spec.option.timestep = 0.004
        self.spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        self._count = 0

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self._count}"

    def material(
        self,
        look: np.ndarray,
        shine: float = 0.3,
        repeat: float | tuple[float, float] = 1.0,
        glow: float = 0.0,
        mirror: float = 0.0,
    ) -> str:
        """Add a material; return its name.

        Args:
            look: a texture, uint8 [h, w, 3] RGB, or one colour, [3] in 0 .. 255.
            shine: 0 (chalk) .. 1 (chrome).
            repeat: of the texture, in both directions.
            glow: share of its colour in the dark, 0 .. 1.
            mirror: share of the room's light that flat faces reflect, 0 .. 1.
        """
        material = self.spec.add_material(
            name=self._name("material"), specular=0.15 + 0.75 * shine, shininess=0.1 + 0.85 * shine,
            emission=glow, reflectance=mirror,
        )  # fmt: skip
        if look.ndim == 1:
            material.rgba = [*(np.asarray(look) / 255), 1]
            return material.name
        texture = self.spec.add_texture(
            name=self._name("texture"), type=mujoco.mjtTexture.mjTEXTURE_2D,
            height=look.shape[0], width=look.shape[1], nchannel=3,
        )  # fmt: skip
        texture.data = np.ascontiguousarray(look).tobytes()
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = texture.name
        material.texrepeat = np.broadcast_to(np.asarray(repeat, float), 2)
        return material.name

    def mesh(self, mesh: Mesh) -> str:
        """Add a mesh; return its name, for `add`."""
        name = self._name("mesh")
        self.spec.add_mesh(
            name=name, uservert=mesh.vertices.ravel(), userface=mesh.faces.ravel().astype(int),
            usertexcoord=mesh.uv.ravel(), userfacetexcoord=mesh.uv_faces.ravel().astype(int),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX, maxhullvert=40,
        )  # fmt: skip
        return name

    def body(
        self, pos: tuple[float, float, float], quat: np.ndarray | None = None, free: bool = False, mocap: bool = False
    ) -> mujoco.MjsBody:
        """Add a body: fixed, free, or (mocap) moved by the caller."""
        body = self.spec.worldbody.add_body(name=self._name("body"), pos=pos, mocap=mocap)
        if quat is not None:
            body.quat = quat
        if free:
            body.add_freejoint()
        return body


def add(
    body: mujoco.MjsBody,
    shape: mujoco.mjtGeom | str,
    material: str,
    size: tuple[float, ...] = (),
    at: tuple[float, float, float] = (0.0, 0.0, 0.0),
    *,
    along: tuple[float, float, float] | None = None,
    touches: bool = True,
    density: float = 400.0,
) -> None:
    """Add a geom to a body.

    Args:
        shape: one of MuJoCo's shapes, or the name of a mesh.
        size: MuJoCo's for that shape: radius, half lengths.
        along: direction of the part's z axis; None: the body's z axis.
        touches: whether it collides.
    """
    geom = body.add_geom(pos=at, material=material, density=density, friction=[0.7, 0.01, 0.0005])
    geom.condim = 4
    if isinstance(shape, str):
        geom.type, geom.meshname = mujoco.mjtGeom.mjGEOM_MESH, shape
    else:
        geom.type = shape
        geom.size = [*size, 0.0, 0.0][:3]
    if along is not None:
        geom.quat = quaternion(frame(np.asarray(along, float), np.array([1.0, 0, 0])))
    if not touches:
        geom.contype = geom.conaffinity = 0
