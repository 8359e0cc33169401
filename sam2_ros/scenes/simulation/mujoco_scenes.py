"""Scenes that look like a robot's, simulated: an alternative to `SyntheticScenes` with the same interface.

A room with a table, a bin, a turntable or the bare floor. On it things of many kinds, rigid, jointed and soft, which
fall, roll, are pushed and carried by a robot's arm; a camera on a mast or at the arm's wrist looks on. Needs MuJoCo
(`pip install "sam2_ros[mujoco]"`) and OpenGL, which Mesa does without a GPU; `docs/scenes.md` says more.
"""

from __future__ import annotations

import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.scenes.rendering import Film, Footage
from sam2_ros.scenes.synthetic import Scenes, areas

SIMULATED = 3  # the seed space: the first word of every seed


class MujocoScenes(Scenes):
    """What a robot sees, simulated; every process needs the same MuJoCo and renderer to make the same clip of a seed.

    Nothing is imported or opened before the first scene, so this can be handed to worker processes. Of the settings,
    `size` and `speed` are left to the simulated world; pictures cover walls, tables and things.
    """

    def scene(self, seed: int) -> Clip:
        return self._clip(f"simulated-{seed}", self.film(seed))

    def film(self, seed: int) -> Film:
        """As of all scenes.

        Raises:
            ModuleNotFoundError: MuJoCo is not installed.
            RuntimeError: there is no OpenGL to draw with. Both messages say what to install.
        """
        try:
            from sam2_ros.scenes.simulation.play import Play, Unstable
        except ModuleNotFoundError as error:
            if error.name != "mujoco":
                raise
            advice = 'simulated scenes need MuJoCo: pip install "sam2_ros[mujoco]"'
            raise ModuleNotFoundError(advice, name=error.name) from error
        s = self.settings
        smallest = 1e-3 * s.height * s.width
        for attempt in range(100):
            rng = np.random.default_rng([SIMULATED, seed, attempt])
            look = self._look(rng)
            frames, labels = [], []
            try:
                for index, (image, label) in enumerate(Play(rng, s, self.pictures).frames()):
                    if index == 0 and areas(label).max() < smallest:
                        break
                    frames.append(look(index, image))
                    labels.append(label)
            except Unstable:
                continue
            if len(frames) == s.frames:
                return Footage(frames, labels)
        raise ValueError(f"no object of simulated scene {seed} can be seen on its first frame with {s}")
