"""The trainer, with a tiny network."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
import torch.nn.functional as F
from small_clips import make_clip
from small_network import TINY, clip, moving_things, network
from torch.utils.data import Dataset, Sampler

from sam2_ros.checkpoints.load import load_checkpoint
from sam2_ros.training.augmentation import NONE
from sam2_ros.training.losses import LossWeights
from sam2_ros.training.optimizer import Learning
from sam2_ros.training.plan import Prompting
from sam2_ros.training.processes import own_device
from sam2_ros.training.recipe import Recipe, Stage, load
from sam2_ros.training.recordings import ClipSamples
from sam2_ros.training.rollout import Rollout
from sam2_ros.training.samples import Batch, sample
from sam2_ros.training.trainer import Trainer
from sam2_ros.training.validation import ONE_CLICK, validate

PAPER = load("paper")

pytestmark = pytest.mark.slow


class OneClip(Dataset[Batch]):
    """The same sample again and again."""

    def __getitem__(self, index: tuple[int, int]) -> Batch:
        return sample(*moving_things(), 2, NONE, np.random.default_rng(0))

    def order(self, step: int, rank: int, world: int) -> Sampler:
        class Zeros(Sampler):
            def __iter__(self) -> Iterator[tuple[int, int]]:
                return ((0, use) for use in count())

        return Zeros()


def recordings(recipe: Recipe) -> ClipSamples:
    clips = [make_clip(name, ids=ids, every=2) for name, ids in (("a", (1, 2, 5)), ("b", (1,)), ("c", (1, 2, 5)))]
    return ClipSamples(clips, recipe.stage, (64, 64), recipe.augmentation)


def test_a_network_overfits_one_clip(tmp_path):
    """J > 0.95 on all pixels of two objects, one of which is occluded, after 160 steps from random weights."""
    recipe = Recipe(
        Stage(size=64, frames=3, clips=1, steps=160, workers=0),
        Learning(lr=3e-3, last_lr=0.02, muon=True, warm_up=10, ema=0.9, bf16=False),
        Prompting(mask=0, box=0, corrected=0, distant_prompts=0),
        LossWeights(shared=1, cross_entropy=2),
        NONE,
    )
    trainer = Trainer(network(), recipe, OneClip(), tmp_path, [clip()])
    trainer.run()
    trained = network()
    load_checkpoint(trained, tmp_path / "average.safetensors")
    truth = clip()
    with torch.no_grad():
        outcome = Rollout(trained.eval(), ONE_CLICK)(truth, seed=1)
    masks = F.interpolate(outcome.logits, truth.masks.shape[2:], mode="bilinear") > 0
    j = (masks & truth.masks).sum(dim=(2, 3)) / (masks | truth.masks).sum(dim=(2, 3))
    assert j.mean() > 0.95 and j.min() > 0.9, j
    assert (outcome.presence_logit > 0).all()


def test_encoder_lr_of_zero_freezes_the_encoder(tmp_path):
    stage = Stage(size=64, frames=2, clips=2, steps=2, workers=0)
    recipe = Recipe(stage, Learning(encoder_lr=0, warm_up=1), Prompting(), LossWeights(affinity=1.0), NONE)
    trainer = Trainer(network(), recipe, recordings(recipe), tmp_path)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.run()
    stays = {name for name, value in trainer.model.state_dict().items() if torch.equal(value, before[name])}
    assert {name for name in before if name.startswith("image_encoder.")} <= stays
    assert not any(name.startswith("memory_encoder.fuser.layers.0.pwconv1") for name in stays)


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    """Bit by bit, with everything that draws random numbers or has state."""
    recipe = Recipe(
        Stage(size=64, frames=2, clips=2, objects=2, steps=4),
        Learning(muon=True, warm_up=2, layer_decay=0.9, checkpointing=True),
        PAPER.prompting,
        LossWeights(affinity=1.0),
        PAPER.augmentation,
    )
    config = replace(TINY, dropout=0.1, hiera=replace(TINY.hiera, drop_path=0.3))

    def trainer(out: str) -> Trainer:
        return Trainer(network(config), recipe, recordings(recipe), tmp_path / out)

    unbroken = trainer("unbroken")
    unbroken.run()

    broken = trainer("broken")
    learn = broken._learn

    def interrupted(batch: Batch, progress: float):
        if broken.step == 1:
            broken.stop()
        return learn(batch, progress)

    broken._learn = interrupted
    broken.run()
    resumed = trainer("broken")
    assert broken.step == resumed.step == 2
    resumed.run()
    assert unbroken.step == resumed.step == 4

    for one, other in ((unbroken.rollout, resumed.rollout), (unbroken.average, resumed.average)):
        for (name, value), twin in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
            assert torch.equal(value, twin), name
    for one, other in zip(unbroken.optimizers, resumed.optimizers, strict=True):
        for mine, twin in zip(one.state.values(), other.state.values(), strict=True):
            assert all(torch.equal(torch.as_tensor(mine[key]), torch.as_tensor(twin[key])) for key in mine)


def shared_run(rank: int, world: int, folder: Path, clips: int) -> None:
    """Run a few steps in one of the processes; save numbers of each step and the weights."""
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=world)
    recipe = Recipe(
        Stage(size=64, frames=3, clips=clips, objects=2, steps=3, workers=0),
        Learning(lr=1e-3, warm_up=1, bf16=False, clip_gradient=0.1),
        replace(PAPER.prompting, min_corrections=1, max_corrections=2),
        LossWeights(affinity=1.0),
        PAPER.augmentation,
    )
    trainer = Trainer(network(), recipe, recordings(recipe), folder / f"run-{world}")
    learn, steps = trainer._learn, []
    trainer._learn = lambda batch, progress: steps.append(learn(batch, progress)) or steps[-1]
    trainer.run()
    objects = [len(outcome.presence_logit) for outcome, _ in steps]
    torch.save(
        ([numbers for _, numbers in steps], objects, trainer.average.state_dict()), folder / f"{world}-{rank}.pt"
    )
    if world > 1:
        dist.destroy_process_group()


def test_two_processes_equal_one_on_the_same_batches(tmp_path):
    shared_run(0, 1, tmp_path, clips=2)
    multiprocessing.spawn(shared_run, (2, tmp_path, 1), nprocs=2)
    alone, all_objects, weights = torch.load(tmp_path / "1-0.pt")
    first, some, first_weights = torch.load(tmp_path / "2-0.pt")
    second, others, second_weights = torch.load(tmp_path / "2-1.pt")

    assert [a + b for a, b in zip(some, others, strict=True)] == all_objects
    assert some != others  # or the test would be too easy
    for one, two, both in zip(first, second, alone, strict=True):
        assert one == two
        for name in ("loss", "pixels", "dice", "iou", "presence", "affinity", "gradient"):
            assert one[name] == pytest.approx(both[name], rel=1e-3), name
    for name, value in weights.items():
        assert torch.equal(first_weights[name], second_weights[name]), name
        assert torch.allclose(first_weights[name], value, atol=2e-4), name


def test_a_stage_without_a_length_is_refused(tmp_path):
    with pytest.raises(ValueError, match="minutes or steps"):
        Trainer(network(), Recipe(), OneClip(), tmp_path)


def test_resuming_with_other_settings_warns(tmp_path):
    recipe = Recipe(Stage(steps=1, workers=0, frames=3), Learning(lr=1e-3))
    Trainer(network(), recipe, OneClip(), tmp_path).save()
    with pytest.warns(UserWarning, match=r"lr 0\.002 instead of 0\.001"):
        Trainer(network(), replace(recipe, learning=Learning(lr=2e-3)), OneClip(), tmp_path)


def test_resuming_applies_the_recipes_weight_decay_and_betas(tmp_path):
    recipe = Recipe(Stage(steps=1, workers=0, frames=3), Learning(weight_decay=0.1))
    Trainer(network(), recipe, OneClip(), tmp_path).save()
    with pytest.warns(UserWarning, match="weight_decay"):
        changed = replace(recipe, learning=Learning(weight_decay=0.2, beta2=0.9))
        trainer = Trainer(network(), changed, OneClip(), tmp_path)
    groups = trainer.optimizers[0].param_groups
    assert {group["weight_decay"] for group in groups} == {0.0, 0.2}
    assert {group["betas"] for group in groups} == {(0.9, 0.9)}


@pytest.mark.parametrize("what", ["network", "groups", "optimizers"])
def test_checkpoint_of_another_network_is_refused(what, tmp_path):
    recipe = Recipe(Stage(steps=1, workers=0, frames=3), Learning())
    Trainer(network(), recipe, OneClip(), tmp_path).save()
    model = network(replace(TINY, dim=32)) if what == "network" else network()
    learning = {"network": Learning(), "groups": Learning(encoder_lr=0.5), "optimizers": Learning(muon=True)}[what]
    with pytest.raises(ValueError, match=r"made for another network, or .* --model, .*--init .*average\.safetensors"):
        Trainer(model, replace(recipe, learning=learning), OneClip(), tmp_path)


def test_each_process_has_its_own_gpu(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert [own_device(torch.device(name)) for name in ("cpu", "cuda", "cuda:1")] == [
        torch.device("cpu"), torch.device("cuda", 3), torch.device("cuda", 1)
    ]  # fmt: skip
    monkeypatch.delenv("LOCAL_RANK")
    assert own_device(torch.device("cuda")) == torch.device("cuda", 0)


def test_validation_scores_and_pictures():
    perfect = [clip()]
    scores, pictures = validate(network(), perfect)
    assert 0 <= scores.first_iou < 0.5 and np.isnan(scores.missed)
    assert pictures[0].shape == (2 * 64, 3 * 64, 3) and pictures[0].dtype == np.uint8


def test_paper_recipe():
    """Values of the paper and its released configuration."""
    stage, learning = PAPER.stage, PAPER.learning
    assert (stage.frames, stage.objects) == (8, 3)
    assert (learning.weight_decay, learning.clip_gradient, learning.layer_decay) == (0.1, 0.1, 0.9)
    assert (learning.drop_path, learning.checkpointing, learning.muon) == (0.1, True, False)
    assert learning.bf16 is None  # where the device has it
    weights = PAPER.losses
    assert (weights.focal, weights.dice, weights.iou, weights.presence) == (20, 1, 1, 1)
    assert weights.cross_entropy == weights.affinity == weights.shared == 0
    changes = PAPER.augmentation
    assert (changes.flip, changes.degrees, changes.shear, changes.grey, changes.mosaic) == (0.5, 25, 20, 0.05, 0.1)
    images, fine_tuning = load("paper-images"), load("fine-tuning")
    assert images.stage.frames == 1 and images.prompting == PAPER.prompting
    same = replace(fine_tuning, stage=stage, learning=learning)
    assert same == PAPER and fine_tuning.learning.lr < learning.lr / 10


def test_batches_have_several_sizes(tmp_path):
    stage = Stage(size=96, smallest_size=32, aspect="1:1", frames=3, clips=1, steps=12, workers=0)
    recipe = Recipe(stage, Learning(bf16=False), ONE_CLICK)
    trainer = Trainer(network(replace(TINY, image_size=96)), recipe, OneClip(), tmp_path)
    sizes = []
    for trainer.step in range(12):
        sizes.append(trainer._sized(clip()).images.shape[-2:])
    assert set(sizes) == {(32, 32), (64, 64), (96, 96)}
    trainer.step = 10
    assert trainer._sized(clip()).images.shape[-2:] == sizes[10], "a resumed run draws the same"
    trainer.run()
    assert trainer.step == 12


def test_memory_is_given_back_after_every_step_if_it_is_short(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("sam2_ros.training.trainer.give_back_if_short", lambda: asked.append(trainer.step))
    stage = Stage(size=64, frames=3, clips=1, steps=3, workers=0)
    trainer = Trainer(network(), Recipe(stage, Learning(bf16=False), ONE_CLICK), OneClip(), tmp_path)
    trainer.run()
    assert asked == [1, 2, 3]
