"""Simulated scenes are reproducible, their masks exact, and errors name the missing package."""

import pickle
import subprocess
import sys

import cv2
import numpy as np
import pytest
from small_clips import digest

from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.simulation.mujoco_scenes import SIMULATED, MujocoScenes
from sam2_ros.scenes.synthetic import SUITE, TRAINING, SceneSettings

pytestmark = pytest.mark.slow

SMALL = SceneSettings(height=64, width=80, frames=3)
MODULES = "sam2_ros.scenes.simulation"


@pytest.fixture(scope="module")
def scenes() -> MujocoScenes:
    """Simulated scenes; skips, with the reason, if MuJoCo can't draw."""
    pytest.importorskip("mujoco", reason='simulated scenes need MuJoCo: pip install "sam2_ros[mujoco]"')
    made = MujocoScenes(SMALL)
    try:
        made.scene(0)
    except RuntimeError as error:
        pytest.skip(str(error))
    return made


@pytest.mark.parametrize("seed", range(4))
def test_clips_are_well_formed(scenes, seed):
    clip = scenes.scene(seed)
    assert len(clip.frames) == len(clip.masks) == SMALL.frames
    assert clip.object_ids == tuple(range(1, len(clip.object_ids) + 1))
    assert len(clip.object_ids) <= SMALL.objects[1]
    assert all(f.shape == (64, 80, 3) and f.dtype == np.uint8 for f in clip.frames)
    masks = np.stack(clip.masks)
    assert masks.shape == (3, len(clip.object_ids), 64, 80) and masks.dtype == bool
    assert masks.any((0, 2, 3)).all(), "an object that is never seen"
    assert masks[0].any(), "nothing to point at on the first frame"
    assert masks.sum(1).max() <= 1, "a pixel that shows two objects"


def test_same_seed_same_clip_in_every_process(scenes):
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from test_mujoco_scenes import SMALL, MujocoScenes, digest\n"
        "print(digest(MujocoScenes(SMALL).scene(5)))"
    )
    folder = __file__.rsplit("/", 1)[0]
    answer = subprocess.run([sys.executable, "-c", program, folder, *sys.path], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    first = digest(scenes.scene(5))
    assert answer.stdout.strip() == first
    assert digest(scenes.scene(6)) != first
    assert digest(pickle.loads(pickle.dumps(scenes)).scene(5)) == first, "depends on what was made before"


@pytest.mark.parametrize("seed", range(3))
def test_masks_match_object_pixels(scenes, seed):
    """Another colour of a thing changes the image where its mask is, and nowhere else."""
    from sam2_ros.scenes.simulation.episode import Episode
    from sam2_ros.scenes.simulation.renderer import Renderer

    settings = SceneSettings(height=128, width=128, frames=1, blur=0.0, leaving=0.0)
    episode = Episode(np.random.default_rng(seed), settings, Pictures())
    (_, label), *_ = episode.frames()
    episode.model.mat_reflectance[:] = 0  # mirrors show things too
    renderer = Renderer(episode.model)
    before = renderer.image(episode.data).astype(int)
    number = int(np.bincount(label.ravel(), minlength=2)[1:].argmax()) + 1
    assert (label == number).sum() > 20
    own = episode.labels[:-1] == number
    episode.model.geom_matid[own] = -1
    episode.model.geom_rgba[own] = (1, 0, 1, 1) if before[label == number].mean(0)[1] > 90 else (0, 1, 0, 1)
    changed = np.abs(renderer.image(episode.data).astype(int) - before).max(2) > 12
    renderer.close()
    mask = (label == number).astype(np.uint8)
    assert not (changed & (cv2.dilate(mask, np.ones((5, 5))) == 0)).any(), "changed outside its mask"
    assert (changed & (mask > 0)).sum() > 0.7 * mask.sum(), "unchanged inside its mask"


def test_things_appear_and_disappear(scenes):
    settings = SceneSettings(height=48, width=48, frames=6, fps=6.0, leaving=1.0)
    presence = [np.stack(MujocoScenes(settings).scene(seed).masks).any((2, 3)) for seed in range(4)]
    assert any((here[:-1] & ~here[1:]).any() for here in presence), "nothing goes"
    assert any((~here[:-1] & here[1:]).any() for here in presence), "nothing comes"


def test_seed_space_is_separate():
    assert len({SIMULATED, TRAINING, SUITE}) == 3


def test_negative_seeds_are_refused(scenes):
    with pytest.raises(ValueError):
        scenes.scene(-1)


def test_missing_mujoco_names_the_package(monkeypatch):
    for name in [name for name in sys.modules if name.startswith(MODULES)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mujoco", None)  # importing it fails
    with pytest.raises(ModuleNotFoundError, match=r'pip install "sam2_ros\[mujoco\]"'):
        MujocoScenes(SMALL).scene(0)


def test_missing_opengl_names_the_package(monkeypatch):
    renderer = pytest.importorskip(f"{MODULES}.renderer")

    def absent(name: str) -> None:
        raise ImportError(f"no library for {name}")

    monkeypatch.setattr(renderer, "_context", None)
    monkeypatch.setattr(renderer, "import_module", absent)
    with pytest.raises(RuntimeError, match=r"no library for mujoco(.|\n)*apt install libosmesa6"):
        MujocoScenes(SMALL).scene(0)


def test_forked_processes_refuse_the_renderer_of_their_parent(scenes, monkeypatch):
    from sam2_ros.scenes.simulation import renderer

    owner, context = renderer._context
    monkeypatch.setattr(renderer, "_context", (owner + 1, context))
    with pytest.raises(RuntimeError, match="spawn"):
        scenes.scene(0)
