"""Samples: choice of frames and objects."""

import numpy as np
import pytest
import torch
from small_network import clip, moving_things

from sam2_ros.training.augmentation import NONE
from sam2_ros.training.recipe import load
from sam2_ros.training.samples import Batch, excerpt, sample


def test_excerpts_are_evenly_spaced_anywhere_in_both_directions():
    chosen = [excerpt(np.ones((9, 1), bool), 3, 9, np.random.default_rng(seed)) for seed in range(300)]
    steps = {(b - a, c - b) for a, b, c in chosen}
    assert all(first == second and 1 <= abs(first) <= 4 for first, second in steps) and len(steps) == 8
    assert {i for one in chosen for i in one} == set(range(9))
    assert 0.4 < np.mean([one[0] > one[1] for one in chosen]) < 0.6


def test_excerpts_respect_max_gap():
    chosen = [excerpt(np.ones((9, 1), bool), 3, 1, np.random.default_rng(seed)) for seed in range(50)]
    assert {abs(a - b) for a, b, _ in chosen} == {1}


def test_excerpts_start_where_an_object_is_visible():
    visible = np.array([[i == 0, i in (3, 5)] for i in range(6)])
    firsts = {excerpt(visible, 2, 6, np.random.default_rng(seed))[0] for seed in range(100)}
    assert firsts == {0, 3, 5}
    last = np.array([[False], [False], [True]])
    assert {excerpt(last, 3, 1, np.random.default_rng(seed))[0] for seed in range(20)} == {2}


def test_excerpts_stay_on_frames_with_a_known_object():
    known = np.array([[t < 4, t >= 5] for t in range(9)])  # one ends before the other begins
    chosen = {tuple(excerpt(known, 3, 2, np.random.default_rng(seed), known)) for seed in range(100)}
    assert chosen == {c for a in ((0, 1, 2), (1, 2, 3), (5, 6, 7), (6, 7, 8)) for c in (a, a[::-1])}


def test_clip_without_an_object_known_for_long_enough_is_refused():
    known = np.array([[t < 4, t >= 5] for t in range(9)])
    with pytest.raises(ValueError, match="no object is seen, and known, on 5 frames"):
        excerpt(known, 5, 1, np.random.default_rng(0), known)


def test_still_image_is_any_frame():
    assert {excerpt(np.ones((4, 1), bool), 1, 1, np.random.default_rng(seed))[0] for seed in range(50)} == set(range(4))


def test_only_objects_of_the_first_frame_are_used():
    frames, masks = moving_things()
    masks[0, 1] = False
    batch = sample(frames, masks, 3, NONE, np.random.default_rng(0))
    assert batch.masks.shape == (1, 3, 64, 64) and torch.equal(batch.masks[0], torch.from_numpy(masks[:, 0]))
    with pytest.raises(ValueError, match="shows no object"):
        sample(frames, masks & False, 3, NONE, np.random.default_rng(0))


def test_min_area_skips_small_objects_beside_larger_ones():
    frames, masks = moving_things()
    masks[:, 1] = False
    masks[:, 1, 40, 40] = True  # 1 of 4096 pixels

    def areas(min_area: float) -> list[int]:
        batch = sample(frames, masks, 3, NONE, np.random.default_rng(0), min_area=min_area)
        return sorted(batch.masks[:, 0].sum(dim=(1, 2)).tolist())

    assert areas(5e-4) == [masks[0, 0].sum()] and areas(0.0) == [1, masks[0, 0].sum()]
    masks[:, 0] = False
    assert areas(5e-4) == [1]


def test_max_area_skips_large_objects():
    frames, masks = moving_things(1)
    masks[0, 0] = True
    batch = sample(frames, masks, 3, NONE, np.random.default_rng(0), max_area=0.9)
    assert torch.equal(batch.masks[:, 0], torch.from_numpy(masks[0, 1:]))
    with pytest.raises(ValueError, match="shows no object"):
        sample(frames, masks[:, :1], 3, NONE, np.random.default_rng(0), max_area=0.9)


def test_augmented_objects_stay_on_the_first_frame():
    frames, masks = moving_things()
    masks[..., 8:] = False  # a narrow strip at the edge, soon out of the image
    for seed in range(40):
        batch = sample(frames, masks, 2, load("paper").augmentation, np.random.default_rng(seed))
        assert batch.masks[:, 0].flatten(1).any(dim=1).all() and len(batch.masks) == len(batch.clip) >= 1


def test_fill_repeats_objects():
    frames, masks = moving_things()
    batch = sample(frames, masks, 5, NONE, np.random.default_rng(0), fill=True)
    assert len(batch.masks) == len(batch.clip) == 5
    assert {tuple(one.flatten(1).sum(dim=1).tolist()) for one in batch.masks} == {
        tuple(masks[:, i].sum(axis=(1, 2)).tolist()) for i in range(2)
    }


def test_join_concatenates_batches():
    joined = Batch.join([clip(2), clip(2)])
    assert joined.images.shape == (2, 2, 3, 64, 64) and joined.clip.tolist() == [0, 0, 1, 1]
    assert torch.equal(joined.masks[2:], clip(2).masks)
    assert joined.normalised.mean().abs() < 2 and joined.to(torch.device("cpu")).images is joined.images


def test_shrunk_batches_keep_small_objects():
    frames, masks = moving_things()
    tiny = np.zeros_like(masks)
    tiny[:, :, 10, 20] = True
    batch = Batch.join([sample(frames, one, 2, NONE, np.random.default_rng(0)) for one in (masks, tiny)])
    small = batch.resized((32, 48))
    assert small.images.shape == (2, 3, 3, 32, 48) and small.images.dtype == torch.uint8
    assert small.clip.equal(batch.clip) and small.masks.shape[2:] == (32, 48)
    large, dots = small.masks[small.clip == 0], small.masks[small.clip == 1]
    share = batch.masks[batch.clip == 0].float().mean(dim=(2, 3))
    torch.testing.assert_close(large.float().mean(dim=(2, 3)), share, atol=0.02, rtol=0)
    assert (dots.flatten(2).sum(dim=2) >= 1).all() and dots[0, 0, 5, 15]
