"""Joint training: batches of clips and of still images, in several processes and when resumed."""

from dataclasses import replace
from itertools import islice

import pytest
import torch
from small_clips import make_clip
from torch.utils.data import DataLoader

from sam2_ros.data import davis
from sam2_ros.training.__main__ import arguments, trainer
from sam2_ros.training.augmentation import NONE
from sam2_ros.training.joint import JointSamples, still_stage, stills_before
from sam2_ros.training.recipe import Stage
from sam2_ros.training.recordings import ClipSamples
from sam2_ros.training.samples import Batch
from sam2_ros.training.scenes import SceneSamples

pytestmark = pytest.mark.slow

STAGE = Stage(frames=3, clips=2, objects=2, still_share=0.3, still_objects=3)


def joint(stage: Stage = STAGE) -> JointSamples:
    return JointSamples(SceneSamples(stage, (32, 32), NONE), SceneSamples(still_stage(stage), (32, 32), NONE), stage)


def take(samples: JointSamples, batches: int, step: int = 0, rank: int = 0, world: int = 1) -> list[list]:
    indices = list(islice(samples.order(step, rank, world), batches * samples.stage.clips))
    return [indices[i : i + samples.stage.clips] for i in range(0, len(indices), samples.stage.clips)]


def test_stills_and_clips_share_no_scene():
    batches = take(joint(), 40)
    kinds = [{still for still, _ in batch} for batch in batches]
    assert all(len(kind) == 1 for kind in kinds), "a batch has either clips or stills"
    assert kinds.count({True}) == 12 and kinds[:10].count({True}) == 3  # evenly
    seeds = {
        still: {seed for b in batches for kind, many in b for seed, _ in many if kind == still} for still in (0, 1)
    }
    assert not seeds[0] & seeds[1]
    assert {len(many) for batch in batches for still, many in batch if still} == {3}


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5, 1.0])
def test_still_share_holds_from_the_first_step_on(share):
    counts = [stills_before(replace(STAGE, still_share=share), step) for step in range(400)]
    assert all(abs(counted - share * step) < 1 for step, counted in enumerate(counts))


def test_processes_split_batches_and_order_resumes():
    alone = take(joint(replace(STAGE, clips=4)), 30)
    first, second = (take(joint(), 30, rank=rank, world=2) for rank in range(2))
    assert [one + other for one, other in zip(first, second, strict=True)] == alone
    assert take(joint(), 10, step=20) == take(joint(), 30)[20:]


def test_batches_of_stills_and_clips_have_equally_many_images():
    samples = joint()
    loader = DataLoader(samples, batch_size=2, sampler=samples.order(2, 0, 1), collate_fn=Batch.join, num_workers=1)
    clips, stills = islice(loader, 2)
    assert clips.images.shape == (2, 3, 3, 32, 32) and clips.masks.shape[:2] == (2 * 2, 3)
    assert stills.images.shape == (2 * 3, 1, 3, 32, 32) and stills.masks.shape[:2] == (2 * 3 * 3, 1)
    assert stills.clip.unique().tolist() == list(range(6))


def test_one_still_image_per_clip():
    """As in the paper's recipe, where a still has many objects."""
    stage = replace(STAGE, still_images=1)
    samples = joint(stage)
    loader = DataLoader(samples, batch_size=2, sampler=samples.order(2, 0, 1), collate_fn=Batch.join, num_workers=1)
    clips, stills = islice(loader, 2)
    assert clips.images.shape[:2] == (2, 3) and stills.images.shape[:2] == (2, 1)
    assert stills.clip.unique().tolist() == [0, 1]


def test_command_trains_on_both(tmp_path):
    davis.write([make_clip("walk")], tmp_path / "clips")
    davis.write([make_clip("still", frames=1, ids=(1, 2))], tmp_path / "stills")  # too short to be a clip
    recipe = tmp_path / "recipe.toml"
    text = "[stage]\nsize = 64\nframes = 2\nclips = 1\nsteps = 4\nworkers = 0\nstill_share = {share}\n"
    text += "[learning]\nbf16 = false\n[prompting]\nmask = 0.0\n"
    recipe.write_text(text.format(share=0.5))
    words = [tmp_path / "run", "--recipe", recipe, "--data", tmp_path / "clips", "--stills", tmp_path / "stills"]
    options = arguments().parse_args([*map(str, words)])
    prepared = trainer(options, torch.device("cpu"))
    assert isinstance(prepared.samples, JointSamples) and isinstance(prepared.samples.stills, ClipSamples)
    assert prepared.samples.stills.changes == replace(NONE, flip=0.5) != prepared.samples.clips.changes
    before = {name: value.clone() for name, value in prepared.model.state_dict().items()}
    prepared.run()
    assert prepared.step == 4
    assert not all(torch.equal(before[name], value) for name, value in prepared.model.state_dict().items())

    recipe.write_text(text.format(share=0.0))
    with pytest.raises(ValueError, match="--stills needs a recipe with `still_share`"):
        trainer(options, torch.device("cpu"))
