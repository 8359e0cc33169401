"""MuJoCo's off-screen OpenGL renderer: images, and the geom in each pixel."""

from __future__ import annotations

import atexit
import os
from importlib import import_module
from typing import Any

import mujoco
import numpy as np

ADVICE = (
    "Without a GPU, Mesa draws: `apt install libegl1 libgl1-mesa-dri` (MUJOCO_GL=egl, the default where EGL is there)"
    " or `apt install libosmesa6` (MUJOCO_GL=osmesa)."
)
SHADOWS = 1024  # pixels of the shadow map
SAMPLES = 4  # of each pixel, for smooth edges

_context: tuple[int, Any] | None = None  # the process that made it, the OpenGL context


def _make_current() -> None:
    """Activate the OpenGL context of the process. Raises RuntimeError if there can be none."""
    global _context
    if _context is None:
        way = os.environ["MUJOCO_GL"]
        try:
            context = import_module(f"mujoco.{way}").GLContext(64, 64)
        except Exception as error:  # a missing library shows as ImportError, AttributeError, OSError, GLError ...
            raise RuntimeError(f"MuJoCo can't draw off screen with MUJOCO_GL={way}: {error}\n{ADVICE}") from error
        atexit.register(context.free)
        _context = os.getpid(), context
    owner, context = _context
    if owner != os.getpid():
        raise RuntimeError("MuJoCo drew in this process before it was forked: start workers with 'spawn' instead")
    context.make_current()


class Renderer:
    """Renders a model from its camera.

    Args:
        model: compiled; its `vis.global_` has the size of images.

    Raises:
        RuntimeError: OpenGL is missing; the message says what to install.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        _make_current()
        self._model = model
        self._size = (model.vis.global_.offheight, model.vis.global_.offwidth)
        self._rect = mujoco.MjrRect(0, 0, *self._size[::-1])
        self._scene = mujoco.MjvScene(model, maxgeom=max(1000, 2 * model.ngeom))
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = 0
        self._option = mujoco.MjvOption()
        self._gl = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._gl)

    def image(self, data: mujoco.MjData) -> np.ndarray:
        """The image of the model's first camera, uint8 [H, W, 3] RGB."""
        mujoco.mjv_updateScene(
            self._model, data, self._option, None, self._camera, mujoco.mjtCatBit.mjCAT_ALL.value, self._scene
        )
        return self._drawn()

    def parts(self) -> np.ndarray:
        """The geom in each pixel of the last image, int32 [H, W]; -1: none."""
        flags = self._scene.flags.copy()
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = True
        self._scene.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = True
        coded = self._drawn().astype(np.int32)
        self._scene.flags[:] = flags
        number = coded[..., 0] + (coded[..., 1] << 8) + (coded[..., 2] << 16)
        geoms = np.full(self._scene.ngeom + 1, -1, np.int32)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.segid >= 0 and geom.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                geoms[geom.segid + 1] = geom.objid
        return geoms[number]

    def _drawn(self) -> np.ndarray:
        mujoco.mjr_render(self._rect, self._scene, self._gl)
        image = np.empty((*self._size, 3), np.uint8)
        mujoco.mjr_readPixels(image, None, self._rect, self._gl)
        return np.ascontiguousarray(image[::-1])

    def close(self) -> None:
        """Free the memory of the graphics driver."""
        self._gl.free()
