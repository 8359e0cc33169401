"""Simulated robot scenes, with the interface of `SyntheticScenes`.

Rigid, jointed and soft things lie on a table, in a bin, on a turntable or on the floor. They fall, roll, and are pushed
and carried by a robot's arm, seen by a camera on a mast or at the arm's wrist. Needs MuJoCo
(`pip install "sam2_ros[mujoco]"`) and OpenGL, which Mesa does without a GPU; `docs/scenes.md` says more.
"""

from __future__ import annotations

import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.scenes.rendering import Film, Footage
from sam2_ros.scenes.synthetic import Scenes, areas

SIMULATED = 3  # seed space: the first word of every seed


class MujocoScenes(Scenes):
    """Scenes simulated by MuJoCo. A seed gives the same clip with the same versions of MuJoCo and renderer.

    MuJoCo is imported and OpenGL opened for the first scene, so that this can be handed to worker processes before.
    `size` and `speed` of the settings have no effect; pictures texture walls, tables and things.
    """

    def scene(self, seed: int) -> Clip:
        return self._clip(f"simulated-{seed}", self.film(seed))

    def film(self, seed: int) -> Film:
        """See `Scenes`.

        Raises:
            ModuleNotFoundError: MuJoCo is not installed.
            RuntimeError: OpenGL is missing. Both messages say what to install.
        """
        try:
            from sam2_ros.scenes.simulation.episode import Episode, Unstable
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
                for index, (image, label) in enumerate(Episode(rng, s, self.pictures).frames()):
                    if index == 0 and areas(label).max() < smallest:
                        break
                    frames.append(look(index, image))
                    labels.append(label)
            except Unstable:
                continue
            if len(frames) == s.frames:
                return Footage(frames, labels)
        raise ValueError(f"no object of simulated scene {seed} can be seen on its first frame with {s}")
