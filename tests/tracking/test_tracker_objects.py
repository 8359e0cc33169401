"""A result never depends on which other objects there are."""

import numpy as np
import peer
import pytest
import torch

from sam2_ros.model import CONFIGS, SAM2
from sam2_ros.tracking import Box, Click, Prompt, Tracker

pytestmark = pytest.mark.slow

MASK = np.zeros((60, 80), dtype=bool)
MASK[20:50, 10:40] = True

PROMPTS = {  # of each object: {index of the image: prompt}
    1: {1: Prompt(1, clicks=(Click(30, 20),)), 9: Prompt(1, clicks=(Click(60, 50, False),))},
    2: {3: Prompt(2, box=Box(10, 10, 40, 30))},
    3: {6: Prompt(3, mask=MASK), 15: Prompt(3, clicks=(Click(20, 40), Click(70, 5, False)))},
}
REMOVED = {2: 12}


@pytest.fixture(scope="module")
def model() -> SAM2:
    """A network whose random weights emphasise memories, so that objects differ from each other."""
    config = CONFIGS["sam2.1_hiera_tiny"].at(64)
    return peer.ours(config, peer.video_model(config, seed=2))


def follow(model, images, object_ids) -> dict[int, list]:
    """All answers for some of the objects, frame by frame."""
    tracker, answers = Tracker(model), {object_id: [] for object_id in object_ids}
    for index, image in enumerate(images[:20]):
        tracker.step(image)
        for object_id in object_ids:
            if index in PROMPTS[object_id]:
                tracker.prompt(PROMPTS[object_id][index])
            if REMOVED.get(object_id) == index:
                tracker.remove(object_id)
        for object_id, answer in tracker.history.newest.answers.items():
            answers[object_id].append(answer)
    return answers


@pytest.mark.parametrize("presence", [5.0, -5.0])
def test_objects_together_equal_each_alone(model, images, presence):
    bias = model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data
    before = bias.clone()
    bias.fill_(presence)
    together = follow(model, images, [1, 2, 3])
    alone = {object_id: follow(model, images, [object_id])[object_id] for object_id in PROMPTS}
    bias.copy_(before)
    for object_id, answers in alone.items():
        assert len(answers) == len(together[object_id]) > 8
        for a, b in zip(answers, together[object_id], strict=True):
            torch.testing.assert_close(a.logits, b.logits, atol=1e-4, rtol=0)
            assert abs(a.iou - b.iou) <= 1e-4
            assert abs(a.presence_logit - b.presence_logit) <= 1e-4
    if presence > 0:  # objects are not all the same to this network: one's memory in another's place would show
        assert (alone[1][-1].logits - alone[3][-1].logits).abs().max() > 0.05


def test_non_overlapping_masks_equal_plain_ones_outside_overlaps(model, images):
    """In the answers to prompts, too. Tracking is the same."""
    trackers = [Tracker(model, non_overlap_masks=apart) for apart in (False, True)]
    contested = 0
    for index, image in enumerate(images[:16]):
        for tracker in trackers:
            tracker.step(image)
        for object_id, prompts in PROMPTS.items():
            if index in prompts:
                may, may_not = (tracker.prompt(prompts[index]) for tracker in trackers)
                assert np.array_equal(may_not.mask, trackers[1].newest.masklet(object_id).mask)
                assert may.iou == may_not.iou
        frames = [tracker.newest for tracker in trackers]
        may, may_not = (
            np.stack([masklet.mask for masklet in frame.masklets]) if frame.masklets else np.zeros((0, 60, 80), bool)
            for frame in frames
        )
        assert not (may_not & ~may).any() and np.array_equal(may.any(axis=0), may_not.any(axis=0))
        assert not (may_not.sum(axis=0) > 1).any()
        assert [m.present for m in frames[1].masklets] == [bool(mask.any()) for mask in may_not]
        contested += (may.sum(axis=0) > 1).sum()
    assert contested > 0
