"""Samples of clips from a disk, of any size: only annotated frames are used."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_clips import make_clip
from torch.utils.data import ConcatDataset, DataLoader

from sam2_ros.data import bag, coco, davis, sav
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.data.formats import open_clips
from sam2_ros.model.config import CONFIGS
from sam2_ros.tracking.pixels import mask_to_network, to_network
from sam2_ros.training.augmentation import NONE
from sam2_ros.training.recipe import Stage
from sam2_ros.training.recordings import Annotated, ClipOrder, ClipSamples
from sam2_ros.training.samples import Batch
from sam2_ros.training.validation import clip_batches


def numbered(frames: int = 13, every: int = 1) -> Clip:
    """Each frame is as bright as its index, times ten; the first object is visible from the fifth frame on."""
    images = [np.full((48, 64, 3), 10 * t, np.uint8) for t in range(frames)]
    masks = []
    for t in range(frames):
        here = np.zeros((2, 48, 64), bool)
        here[0, 5:20, 5:30] = t >= 4
        here[1, 25:40, 20:60] = t < 9
        masks.append(here if t % every == 0 else None)
    return Clip("numbered", images, (1, 2), masks)


def samples(clips, **stage) -> ClipSamples:
    return ClipSamples(clips, Stage(**{"frames": 3, "objects": 2, **stage}), shape=(32, 32), changes=NONE)


def times(batch) -> list[int]:
    return [round(float(image.float().mean()) / 10) for image in batch.images[0]]


def test_only_annotated_frames_are_used():
    dataset = samples([numbered(every=4)], frames=2)
    seen = {tuple(times(dataset[0, use])) for use in range(40)}
    assert seen == {(0, 4), (4, 8), (8, 12), (4, 0), (8, 4), (12, 8)}


def test_gap_limits_the_distance_of_frames():
    dataset = samples([numbered()], gap=3)
    assert {abs(a - b) for a, b, _ in (times(dataset[0, use]) for use in range(40))} == {1, 2, 3}


def test_all_objects_are_visible_on_the_first_frame():
    dataset = samples([numbered()])
    for use in range(40):
        batch = dataset[0, use]
        first = times(batch)[0]
        assert len(batch.masks) == (first >= 4) + (first < 9)
        assert batch.masks[:, 0].flatten(1).any(dim=1).all()


def test_images_and_masks_are_resized_as_by_the_tracker():
    clip = make_clip(frames=1)
    frames, masks, squeezed = Annotated.of(clip).resized(clip, [0], (32, 128))
    assert squeezed == pytest.approx(64 / 48 / 4)
    cpu, wide = torch.device("cpu"), CONFIGS["default"].at(64, "4:1")
    batch = ClipSamples([clip], Stage(frames=1, objects=9), (32, 128), NONE)[0, 0]
    assert torch.allclose(batch.normalised[0], to_network(clip.frames[0], wide, cpu), atol=1e-6)
    for mask, truth in zip(masks[0], clip.masks[0], strict=True):
        assert np.array_equal(mask, mask_to_network(truth, (32, 128), cpu)[0, 0].bool().numpy())
    assert frames.shape == (1, 32, 128, 3)


def test_damaged_and_short_clips_are_skipped():
    clips = [numbered(frames=2), numbered()]
    with pytest.warns(UserWarning, match="has 2 annotated frames, a training clip takes 3"):
        assert len(times(samples(clips)[0, 0])) == 3
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="none of 1 clips can be used for training"):
        samples(clips[:1])[0, 0]
    with pytest.raises(ClipError, match="no frame has a mask"):
        Annotated.of(Clip("empty", numbered().frames, (), [np.zeros((0, 48, 64), bool)] * 13))


def test_damaged_clips_are_replaced_at_random():
    """Not by the next clip, which would be used several times as often; the choice does not depend on earlier
    choices."""
    short = [numbered(frames=2) for _ in range(12)]
    dataset, later = (
        samples([*short, numbered(), numbered(frames=9)]),
        samples([*short, numbered(), numbered(frames=9)]),
    )
    with pytest.warns(UserWarning, match=r"\(\d+ of 14 clips so far\)"):
        taken = [times(dataset[number, 0]) for number in range(14)]
    assert dataset.bad.keys() <= set(range(12)) and len(dataset.bad) > 6
    with pytest.warns(UserWarning):
        assert [times(later[number, 0]) for number in reversed(range(14))] == taken[::-1]


def test_intact_frames_of_a_damaged_clip_are_used():
    class Torn(list):
        def __getitem__(self, index):
            if index == 6:
                raise ClipError("torn.jpg", "cannot be decoded", index)
            return super().__getitem__(index)

    clip = numbered()
    dataset = samples([replace(clip, frames=Torn(clip.frames))])
    with pytest.warns(UserWarning, match=r"torn\.jpg, frame 6"):
        seen = {time for use in range(30) for time in times(dataset[0, use])}
    assert seen == set(range(13)) - {6} and not dataset.bad


def test_unknown_objects_are_not_used():
    known = np.array([[True, t < 6] for t in range(13)])
    dataset = samples([replace(numbered(), known=known)])
    for use in range(40):
        batch = dataset[0, use]
        shown = times(batch)
        assert len(batch.masks) == (shown[0] >= 4) + (shown[0] < 9 and max(shown) < 6)


def test_clip_without_an_object_known_for_long_enough_is_skipped():
    """For example, a recording in which an object is prompted shortly before its end."""
    known = np.array([[t >= 11, t < 2] for t in range(13)])
    dataset = samples([replace(numbered(), known=known), numbered()])
    with pytest.warns(UserWarning, match="no object is seen, and known, on 3 frames"):
        assert len(times(dataset[0, 0])) == 3
    assert set(dataset.bad) == {0}


def test_objects_that_fill_a_still_image_are_skipped():
    clip = numbered()
    full = [np.stack([np.ones_like(mask[0]), mask[1]]) for mask in clip.masks]
    batch = ClipSamples([replace(clip, masks=full)], Stage(frames=1, objects=9, max_area=0.9), (32, 32), NONE)[0, 0]
    assert len(batch.masks) == 1 and not batch.masks.all()


def test_validation_begins_at_a_trackable_object():
    known = np.array([[t >= 6, t < 2] for t in range(13)])
    (batch,) = clip_batches([replace(numbered(), known=known)], Stage(frames=3, gap=2), (32, 32))
    assert times(batch) == [6, 8, 10] and len(batch.masks) == 1
    with pytest.warns(UserWarning, match="over 9 annotated frames"), pytest.raises(ValueError, match="none of 1 clips"):
        clip_batches([replace(numbered(), known=known)], Stage(frames=9), (32, 32))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_workers_open_their_own_files(way, tmp_path):
    """With a bag and a video opened before: shared file positions would give other frames, or errors."""
    bag.write(numbered(), tmp_path / "bag")
    sav.write([numbered(every=4)], tmp_path / "sav")
    clips = [open_clips(tmp_path / name)[0:1] for name in ("bag", "sav")]
    dataset = samples(ConcatDataset(clips), frames=2)
    alone = [[times(dataset[number, use]) for number in (0, 1)] for use in range(24)]
    loader = DataLoader(
        dataset, 1, sampler=[(number, use) for use in range(24) for number in (0, 1)], num_workers=4,
        collate_fn=Batch.join, multiprocessing_context=way, timeout=120,
    )  # fmt: skip
    assert [times(batch) for batch in loader] == [one for pair in alone for one in pair]


def test_folders_of_other_formats(tmp_path):
    davis.write([make_clip("a"), make_clip("b", every=2)], tmp_path / "davis")
    dataset = samples(open_clips(tmp_path / "davis"), objects=3)
    assert {dataset[number, 0].images.shape for number in (0, 1)} == {(1, 3, 3, 32, 32)}
    coco.write([make_clip("c", frames=3)], tmp_path / "stills")
    assert samples(open_clips(tmp_path / "stills"), frames=1)[1, 0].masks.any()


def test_clips_take_turns_and_processes_split_batches():
    def take(rank: int, world: int, step: int = 0, clips: int = 2, count: int = 12) -> list[tuple[int, int]]:
        order = iter(ClipOrder(5, clips, step, rank, world))
        return [next(order) for _ in range(count)]

    alone = take(0, 1, clips=4, count=20)
    assert sorted(alone) == sorted((number, use) for number in range(5) for use in range(4))
    first, second = take(0, 2), take(1, 2)
    shared = [index for step in range(5) for part in (first, second) for index in part[2 * step : 2 * step + 2]]
    assert shared == alone
    assert take(1, 2, step=3, count=4) == second[6:10]
