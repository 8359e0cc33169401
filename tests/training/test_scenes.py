"""Samples of scenes: their order and reuse."""

from itertools import islice

import pytest
from small_photographs import photograph

from sam2_ros.scenes.photo_scenes import PhotoScenes
from sam2_ros.scenes.synthetic import SyntheticScenes
from sam2_ros.scenes.table_scenes import TableScenes
from sam2_ros.training.augmentation import Augmentation
from sam2_ros.training.recipe import Stage
from sam2_ros.training.scenes import SceneOrder, SceneSamples, rows


def take(stage: Stage, batches: int, step: int = 0, rank: int = 0, world: int = 1) -> list[list[tuple[int, int]]]:
    indices = list(islice(SceneOrder(stage, step, rank, world), batches * stage.clips))
    return [indices[i : i + stage.clips] for i in range(0, len(indices), stage.clips)]


def test_each_scene_is_used_several_times():
    stage = Stage(clips=4)
    block = rows(4)
    batches = take(stage, 2 * Stage.uses * block)
    flat = [index for batch in batches for index in batch]
    assert len(set(flat)) == len(flat)
    assert sorted({seed for seed, _ in flat}) == list(range(2 * block * 4))
    assert all(sum(seed == one for seed, _ in flat) == Stage.uses for one in (0, 7, 2 * block * 4 - 1))
    assert batches[0] != sorted(batches[0]) or batches[1] != sorted(batches[1])


def test_processes_split_batches_and_order_resumes():
    alone = take(Stage(clips=4), 60)
    first, second = (take(Stage(clips=2), 60, rank=rank, world=2) for rank in range(2))
    assert [one + other for one, other in zip(first, second, strict=True)] == alone
    assert not {seed for batch in first for seed, _ in batch} & {seed for batch in second for seed, _ in batch}
    assert take(Stage(clips=4), 20, step=40) == alone[40:]


def test_scenes_stay_with_their_worker():
    stage = Stage(clips=8, workers=3)
    workers: dict[int, set[int]] = {}
    for step, batch in enumerate(take(stage, 3 * Stage.uses * rows(8) * 2)):
        for seed, _ in batch:
            workers.setdefault(seed, set()).add(step % 3)
    assert all(len(of_scene) == 1 for of_scene in workers.values())


def test_first_seed_gives_other_scenes():
    assert {seed for batch in take(Stage(clips=8, first_seed=10_000), 50) for seed, _ in batch} <= set(
        range(10_000, 20_000)
    )


def test_samples_of_one_scene_differ_by_use():
    stage = Stage(frames=2, gap=2, clips=2, objects=2)
    samples = SceneSamples(stage, (32, 32), Augmentation())
    one, again, other = samples[3, 0], samples[3, 0], samples[3, 1]
    assert one.images.shape == (1, 2, 3, 32, 32) and len(one.masks) == 2  # always
    assert one.images.equal(again.images) and not one.images.equal(other.images)
    assert samples.film.cache_info().misses == 1


def test_share_of_table_scenes():
    samples = SceneSamples(Stage(frames=3, gap=2, clips=2, objects=2, tables=0.5), (48, 64), Augmentation())
    kinds = [type(samples.maker(seed)) for seed in range(12)]
    assert 2 <= kinds.count(TableScenes) <= 10 and kinds.count(TableScenes) + kinds.count(SyntheticScenes) == 12
    assert samples[kinds.index(TableScenes), 0].images.shape == (1, 3, 3, 48, 64)


def test_share_of_scenes_of_photographs():
    stage = Stage(frames=2, clips=2, objects=2, tables=0.3, photographs=0.3)
    samples = SceneSamples(stage, (48, 64), Augmentation(), photographs=[photograph(0)])
    kinds = [type(samples.maker(seed)) for seed in range(30)]
    assert all(4 <= kinds.count(kind) <= 16 for kind in (TableScenes, PhotoScenes, SyntheticScenes))
    assert samples[kinds.index(PhotoScenes), 0].images.shape == (1, 2, 3, 48, 64)


@pytest.mark.parametrize(("share", "given"), [(0.0, [photograph(0)]), (0.5, [])])
def test_photographs_and_their_share_go_together(share, given):
    with pytest.raises(ValueError, match="--photographs"):
        SceneSamples(Stage(photographs=share), (48, 64), Augmentation(), photographs=given)
