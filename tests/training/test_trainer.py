"""Training itself, with a network small enough for a test."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from sam2_ros.data.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.model.config import HieraConfig, SAM2Config
from sam2_ros.model.sam2 import SAM2
from sam2_ros.training.losses import Weights
from sam2_ros.training.rollout import Recipe, Rollout
from sam2_ros.training.samples import Batch, Order, excerpt, sample
from sam2_ros.training.start import look_at_the_same_place
from sam2_ros.training.trainer import Stage, Trainer
from sam2_ros.training.validation import validate

TINY = SAM2Config(
    "test",
    HieraConfig(16, 1, (1, 1, 1, 1), (2, 3), windows=(8, 8, 8, 8), position_grid=(8, 8), drop_path=0.0),
    image_size=64,
    dim=64,
    memory_dim=16,
    memory_layers=1,
    feedforward=128,
    decoder_heads=2,
    iou_head_dim=32,
    dropout=0.1,  # of the global random numbers, which have to be gone on with as well
)


@pytest.fixture(autouse=True)
def calm():
    """One thread: the work is too small to share, and other processes' threads would be waited for."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def network() -> SAM2:
    torch.manual_seed(0)
    model = SAM2(TINY)
    look_at_the_same_place(model)
    return model


def clip(frames: int = 3) -> Batch:
    settings = SceneSettings(
        height=64, width=64, frames=frames, objects=(2, 2), size=(0.4, 0.6), occlusion=0, leaving=0, lookalikes=0
    )
    return sample(SyntheticScenes(settings).scene(3), 2, np.random.default_rng(0))


def test_a_network_learns_one_clip_by_heart():
    model, batch, steps, rate = network().train(), clip(2), 160, 1e-3
    before, _ = validate(model, [batch])
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    rollout = Rollout(model, Recipe(mask=0.3, corrected=0.0), Weights(focal=0, cross_entropy=2))
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * min(1, 2 * (1 - step / steps))
        optimizer.zero_grad()
        rollout(batch, generator).total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    after, pictures = validate(model, [batch])
    assert before.first_iou < 0.2 and before.later_iou < 0.2, before
    assert after.first_iou > 0.55 and after.later_iou > 0.55, after
    assert pictures[0].shape == (2 * 64, 2 * 64, 3)


def test_every_parameter_learns_from_a_corrected_video():
    model = network().train()
    rollout = Rollout(model, Recipe(mask=0.5, corrected=1.0))
    generator = torch.Generator().manual_seed(0)
    batch = clip(4)
    score = model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias
    for bias in (20.0, -20.0, 20.0, -20.0):  # always called present, always called absent
        torch.nn.init.constant_(score, bias)
        rollout(batch, generator).total.backward()
    idle = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    candidates = {name for name in idle if "output_hypernetworks_mlps" in name}  # only the best one learns
    assert idle - candidates == {"no_mem_pos_enc"}  # in the checkpoints, but nothing reads it


def test_a_resumed_run_goes_on_like_an_unbroken_one(tmp_path):
    def trainer(out: str) -> Trainer:
        stage = Stage(size=64, frames=2, clips=2, objects=2, steps=5, warm_up=2)
        return Trainer(network(), stage, Recipe(), Weights(), tmp_path / out, bf16=False)

    unbroken = trainer("unbroken")
    unbroken.run()

    broken = trainer("broken")
    step = broken._step

    def interrupted(batch: Batch, progress: float) -> dict[str, float]:
        if broken.step == 3:
            raise KeyboardInterrupt
        return step(batch, progress)

    broken._step = interrupted
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    resumed = trainer("broken")
    assert resumed.step == 3
    resumed.run()

    for model, other in ((unbroken.model, resumed.model), (unbroken.average, resumed.average)):
        for (name, value), twin in zip(model.named_parameters(), other.parameters(), strict=True):
            assert torch.equal(value, twin), name


def test_processes_share_no_scenes_and_a_later_start_continues_the_order():
    def take(count: int, **kwargs) -> list[tuple[int, int]]:
        return list(islice(Order(block=4, uses=2, **kwargs), count))

    first, second = take(16, rank=0, world=2), take(16, rank=1, world=2)
    assert not {seed for seed, _ in first} & {seed for seed, _ in second}
    assert len(set(first)) == 16 and len({seed for seed, _ in first}) == 8
    assert take(6, rank=0, world=2, position=10) == first[10:]


def test_a_stage_without_an_end_is_refused(tmp_path):
    with pytest.raises(ValueError, match="minutes or steps"):
        Trainer(network(), Stage(), Recipe(), Weights(), tmp_path)


def test_excerpts_are_evenly_spaced_and_reach_everywhere() -> None:
    clip = SyntheticScenes(SceneSettings(height=32, width=32, frames=9)).scene(0)
    places = {id(frame): i for i, frame in enumerate(clip.frames)}
    seen = set()
    for seed in range(200):
        part = excerpt(clip, 3, np.random.default_rng(seed))
        chosen = [places[id(frame)] for frame in part.frames]
        assert len(part.masks) == 3 and chosen[1] - chosen[0] == chosen[2] - chosen[1] >= 1
        seen.update(chosen)
    assert seen == set(range(9))


def test_excerpts_start_where_something_can_be_seen() -> None:
    scene = SyntheticScenes(SceneSettings(height=32, width=32, frames=6)).scene(0)
    clip = replace(scene, masks=[mask & (i in (0, 3)) for i, mask in enumerate(scene.masks)])
    assert all(excerpt(clip, 2, np.random.default_rng(seed)).masks[0].any() for seed in range(50))
