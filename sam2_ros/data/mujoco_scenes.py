"""Scenes that look like a robot's, simulated: an alternative to `SyntheticScenes` with the same interface.

A room with a table, a bin, a turntable or the bare floor. On it things of many kinds, rigid, jointed and soft, which
fall, roll, are pushed and carried by a robot's arm; a camera on a mast or at the arm's wrist looks on. Needs MuJoCo
(`pip install "sam2_ros[mujoco]"`) and OpenGL, which Mesa does without a GPU; `docs/scenes.md` says more.
"""

from __future__ import annotations

import numpy as np

from sam2_ros.data import camera
from sam2_ros.data.clip import Clip
from sam2_ros.data.pictures import Pictures
from sam2_ros.data.synthetic import SceneSettings

SIMULATED = 3  # the seed space: the first word of every seed


class MujocoScenes:
    """Makes clips: the same seed and settings give the same clip, in every process with the same MuJoCo and renderer.

    Nothing is imported or opened before the first scene, so this can be handed to worker processes.

    Args:
        settings: `size` and `speed` are left to the simulated world, all else is heeded.
        pictures: cover walls, tables and things, where given.
    """

    def __init__(self, settings: SceneSettings | None = None, pictures: Pictures | None = None) -> None:
        self.settings = settings or SceneSettings()
        self.pictures = pictures or Pictures()
        self._grain = camera.sensor_grain(self.settings.height, self.settings.width)

    def scene(self, seed: int) -> Clip:
        """The clip of a seed (any integer >= 0).

        Objects 1 .. N are visible on at least one frame each, one of them on the first.

        Raises:
            ModuleNotFoundError: MuJoCo is not installed.
            RuntimeError: there is no OpenGL to draw with. Both messages say what to install.
        """
        try:
            from sam2_ros.data.simulation.play import Play, Unstable
        except ModuleNotFoundError as error:
            if error.name != "mujoco":
                raise
            advice = 'simulated scenes need MuJoCo: pip install "sam2_ros[mujoco]"'
            raise ModuleNotFoundError(advice, name=error.name) from error
        s = self.settings
        smallest = 1e-3 * s.height * s.width
        for attempt in range(100):
            rng = np.random.default_rng([SIMULATED, seed, attempt])
            look = camera.Look(
                rng, s.frames, s.height, s.width, self._grain,
                lighting=s.lighting, blur=s.blur, noise=s.noise, low_resolution=s.low_resolution,
            )  # fmt: skip
            frames, labels = [], []
            try:
                for index, (image, label) in enumerate(Play(rng, s, self.pictures).frames()):
                    if index == 0 and np.bincount(label.ravel(), minlength=256)[1:].max() < smallest:
                        break
                    frames.append(look(index, image))
                    labels.append(label)
            except Unstable:
                continue
            if len(frames) == s.frames:
                seen = np.unique(np.stack(labels))
                ids = seen[seen > 0]
                masks = [label[None] == ids[:, None, None] for label in labels]
                return Clip(f"simulated-{seed}", frames, tuple(range(1, len(ids) + 1)), masks, s.fps)
        raise ValueError(f"no object of simulated scene {seed} can be seen on its first frame with {s}")
