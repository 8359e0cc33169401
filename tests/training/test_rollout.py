"""Rollouts over clips equal the tracker's."""

from dataclasses import replace

import pytest
import torch
from small_network import TINY, clip, network
from torch import Tensor
from torch.utils.checkpoint import checkpoint as torch_checkpoint

from sam2_ros.model.sam2 import SAM2, ImageFeatures, Memories
from sam2_ros.training import rollout as rollout_module
from sam2_ros.training.affinity import Affinity
from sam2_ros.training.losses import LossWeights
from sam2_ros.training.plan import FirstPrompt, Plan, Prompting
from sam2_ros.training.recipe import load
from sam2_ros.training.rollout import Rollout
from sam2_ros.training.samples import Batch

PAPER_PROMPTING = load("paper").prompting


def seed_of(prompting: Prompting, frames: int, wanted) -> int:
    """The first seed that draws such a plan."""
    return next(
        seed for seed in range(10_000)
        if wanted(Plan.draw(prompting, frames, torch.Generator().manual_seed(seed)))
    )  # fmt: skip


def test_every_parameter_gets_a_gradient_from_a_corrected_clip():
    model = network().train()
    rollout = Rollout(model, Prompting(mask=0.5, corrected=1.0, min_corrections=4, max_corrections=4))
    score = model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias
    for seed, bias in enumerate((20.0, -20.0, 20.0, -20.0)):  # always called present, always called absent
        torch.nn.init.constant_(score, bias)
        rollout(clip(4), seed).total.backward()
    idle = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    candidates = {name for name in idle if "output_hypernetworks_mlps" in name}  # only the best one learns
    assert idle - candidates == {"no_mem_pos_enc"}  # in the checkpoints, but unused


def test_prompted_and_corrected_frames_are_conditioning_frames(monkeypatch):
    """Of 6 frames, frame 3 is prompted as well as the first; or one frame is corrected later on."""
    model = network().eval()
    recalled: list[Memories] = []
    condition = SAM2.condition

    def recording(model: SAM2, features: ImageFeatures, memories: Memories | None) -> Tensor:
        if memories is not None:
            recalled.append(memories)
        return condition(model, features, memories)

    monkeypatch.setattr(SAM2, "condition", recording)

    def conditioning_frames(seed: int) -> list[int]:
        recalled.clear()
        with torch.no_grad():
            Rollout(model, PAPER_PROMPTING)(clip(6), seed)
        return [int((memories.map_age[0] == 0).sum()) for memories in recalled]

    prompted = seed_of(PAPER_PROMPTING, 6, lambda plan: sorted(plan.prompts) == [0, 3])
    assert conditioning_frames(prompted) == [2, 2, 2, 2]  # frames 1, 2, 4, 5: later prompted frames count too
    corrected = seed_of(PAPER_PROMPTING, 6, lambda plan: len(plan.prompts) == 1 and sorted(plan.corrections) == [0, 3])
    assert conditioning_frames(corrected) == [1, 1, 1, 2, 2]  # frames 1 .. 5


@pytest.mark.parametrize("forget_absent", [0.0, 1.0])
@pytest.mark.parametrize("seen", [True, False])
def test_frames_with_the_object_absent_are_not_attended_to(monkeypatch, seen, forget_absent):
    model = network(replace(TINY, remembered_presence=0.0)).eval()
    score = model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias
    recalled: list[Memories] = []
    condition = SAM2.condition

    def turning(model: SAM2, features: ImageFeatures, memories: Memories | None) -> Tensor:
        if memories is not None:
            recalled.append(memories)
            if len(recalled) == 3:  # predictions from frame 3 on
                torch.nn.init.constant_(score, 20.0 if seen else -20.0)
        return condition(model, features, memories)

    monkeypatch.setattr(SAM2, "condition", turning)
    torch.nn.init.constant_(score, 20.0)
    with torch.no_grad():
        Rollout(model, Prompting(mask=0, corrected=0, forget_absent=forget_absent))(clip(6), 0)
    assert [memories.map_age[0].tolist() for memories in recalled[-2:]] == [[0, 1, 2, 3], [0, 1, 2, 3, 4]]
    for memories, last in zip(recalled[-2:], (3, 4), strict=True):
        earlier = seen or not forget_absent
        expected = [True] + [seen] * (last - 2) + [earlier, earlier]  # prompted; from frame 3 on; frames 2 and 1
        for valid in (memories.map_valid, memories.pointer_valid):
            assert valid.tolist() == [expected] * len(valid)


def test_seven_corrections_are_eight_predictions():
    seed = seed_of(PAPER_PROMPTING, 3, lambda plan: len(plan.prompts) == 1 and sorted(plan.corrections) == [0, 2])
    with torch.no_grad():
        outcome = Rollout(network(), PAPER_PROMPTING)(clip(), seed)
    assert len(outcome.losses) == 8 + 1 + 8
    assert outcome.logits.shape == (2, 3, 16, 16) and outcome.presence_logit.shape == (2, 3)


def test_checkpointing_computes_the_same_gradients(monkeypatch):
    calls = []
    monkeypatch.setattr(rollout_module, "checkpoint", lambda *a, **k: calls.append(a[0]) or torch_checkpoint(*a, **k))

    def gradients(checkpointing: bool) -> tuple[float, dict[str, torch.Tensor]]:
        model = network(replace(TINY, dropout=0.1)).train()
        torch.manual_seed(1)
        total = Rollout(model, Prompting(mask=0, corrected=1), checkpointing=checkpointing)(clip(), 3).total
        total.backward()
        return total.item(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    total, plain = gradients(False)
    assert not calls
    again, checkpointed = gradients(True)
    assert len(calls) > 3 and again == pytest.approx(total, rel=1e-5)
    assert plain.keys() == checkpointed.keys()
    for name, gradient in plain.items():
        assert torch.allclose(checkpointed[name], gradient, rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize("through_memory", [True, False])
def test_losses_reach_earlier_frames_through_memory_alone(through_memory):
    """No loss depends on the pointer of its own frame, so pointers learn from later frames or not at all."""
    model = network().train()
    outcome = Rollout(model, Prompting(mask=0, corrected=0), through_memory=through_memory)(clip(), 0)
    outcome.total.backward()
    reached = {p.grad is not None and bool(p.grad.any()) for p in model.obj_ptr_proj.parameters()}
    assert reached == {through_memory}
    assert model.memory_attention.layers[0].linear1.weight.grad.any()


def test_batched_clips_equal_single_ones():
    """Losses are means over objects: those of two clips are the mean of both, weighted by their objects."""
    model, prompting = network().eval(), Prompting(mask=1, box=0, corrected=0, distant_prompts=0)
    both = clip()
    one = Batch(both.images, both.masks[:1], both.clip[:1])
    with torch.no_grad():
        losses = {name: Rollout(model, prompting)(batch, 0) for name, batch in
                  (("one", one), ("both", both), ("joined", Batch.join([one, both])))}  # fmt: skip
    for t in range(2):
        expected = (losses["one"].losses[t].presence + 2 * losses["both"].losses[t].presence) / 3
        assert losses["joined"].losses[t].presence.item() == pytest.approx(expected.item(), rel=1e-4)


def test_affinity_loss_of_a_perfect_encoder_is_small():
    affinity = Affinity(TINY, dim=2)
    batch = clip()
    targets = torch.nn.functional.avg_pool2d(batch.masks.float(), 4)
    inside = batch.masks[:1].float()
    cells = torch.stack((inside, 1 - inside), dim=2)[0][:, :, ::4, ::4]  # one-hot, for the first object
    affinity.embed = lambda features: cells
    affinity.scale.data.fill_(4.0)
    first = (batch.masks[:1], targets[:1], batch.clip[:1])
    rollout_chance = rollout_module.Chance(torch.Generator().manual_seed(0), 1)
    good = affinity(None, *first, rollout_chance, torch.tensor(3.0))
    affinity.embed = lambda features: cells.flip(0).roll(20, dims=3)
    bad = affinity(None, *first, rollout_chance, torch.tensor(3.0))
    assert good < bad / 3


def test_affinity_weight_scales_the_loss():
    model = network()
    affinity = Affinity(TINY)
    prompting = Prompting(mask=0, corrected=0)
    with torch.no_grad():
        one, two = (
            Rollout(model, prompting, LossWeights(affinity=w), affinity)(clip(1), 0).affinity for w in (1.0, 2.0)
        )
    assert two.item() == pytest.approx(2 * one.item(), rel=1e-5) and one > 0


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
def test_all_tensors_are_on_the_device_of_the_model(checkpointing):
    """The meta device stands for a GPU: it refuses CPU tensors and synchronisation."""
    meta = torch.device("meta")
    rollout = Rollout(network(), PAPER_PROMPTING, LossWeights(affinity=1), Affinity(TINY), checkpointing).to(meta)
    batch = clip(4).to(meta)
    masks = seed_of(PAPER_PROMPTING, 4, lambda plan: plan.prompts[0] is FirstPrompt.MASK)
    box = seed_of(PAPER_PROMPTING, 4, lambda plan: FirstPrompt.BOX in plan.prompts.values() and len(plan.prompts) == 2)
    click = seed_of(PAPER_PROMPTING, 4, lambda plan: plan.prompts == {0: FirstPrompt.CLICK} and 2 in plan.corrections)
    for seed in (masks, box, click):
        outcome = rollout(batch, seed)
        outcome.total.backward()
        assert outcome.total.device == outcome.logits.device == meta
    assert {parameter.grad.device for parameter in rollout.parameters() if parameter.grad is not None} == {meta}
