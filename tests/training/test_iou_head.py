"""Fitting the head that predicts IoU: recorded outputs, and the fitted choice."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from small_clips import make_clip
from small_network import default_network
from small_photographs import photograph

from sam2_ros.checkpoints.load import DEFAULT_WEIGHTS, load_model
from sam2_ros.checkpoints.weights import read_weights
from sam2_ros.data import davis
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.evaluation.region_boundary import region_similarity
from sam2_ros.model.layers import MLP
from sam2_ros.model.sam2 import SAM2
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.tracking.tracker import Tracker
from sam2_ros.training.iou_head import Judged, choice, fit, gather, judge


@pytest.fixture(scope="module")
def model() -> SAM2:
    return default_network()


def test_every_mask_of_a_visible_object_is_recorded(model):
    """Two objects on 6 frames, and one that appears on the fifth; every second frame is not annotated."""
    tracker = Tracker(model, history=1)
    whole, sparse = (judge(tracker, make_clip(frames=6, every=every), every) for every in (1, 2))
    assert (len(whole.tokens), int(whole.prompted.sum())) == (2 * 6 + 2, 3)
    assert (len(sparse.tokens), int(sparse.prompted.sum())) == (2 * 3 + 1, 3)
    assert whole.clip.unique().tolist() == [1] and sparse.clip.unique().tolist() == [2]
    with torch.no_grad():
        predicted = model.sam_mask_decoder.iou_prediction_head(whole.tokens).sigmoid()
    assert torch.allclose(predicted, whole.predicted, atol=1e-5)


def test_recorded_ious_equal_those_of_the_masklets():
    """The IoU of the chosen candidates is that of the masklets, but for the finer grid; here with trained weights."""
    clip = SyntheticScenes(SceneSettings(frames=3, objects=(3, 3))).scene(11)
    tracker = Tracker(load_model(device="cpu"), history=3)
    judged = judge(tracker, clip)
    chosen = judged.iou[:, 1:].gather(1, judged.predicted[:, 1:].argmax(dim=1, keepdim=True)).squeeze(1).tolist()
    # In the order of decoding: on each frame, tracked objects come before new ones.
    masklets, truths, followed = [], [], []
    for index, masks in enumerate(clip.masks):
        new = [row for row in range(len(masks)) if row not in followed and masks[row].any()]
        for row in followed + new:
            if masks[row].any():
                masklets.append(tracker.frame_at(index).masklet(row + 1))
                truths.append(masks[row])
        followed += new
    shown = [region_similarity(masklet.mask, truth) for masklet, truth in zip(masklets, truths, strict=True)]
    assert np.ptp(shown) > 0.1, "all alike: nothing could be mistaken for something else"
    for iou, seen, masklet in zip(chosen, shown, masklets, strict=True):
        assert not masklet.present or iou == pytest.approx(seen, abs=0.1)


def test_what_a_small_thing_taught_is_what_the_whole_image_said():
    """A closer look decodes its window, too, with other tokens."""
    clip = SyntheticScenes(SceneSettings(480, 640, frames=1, objects=(2, 4))).scene(2**41 + 3)
    model = load_model(device="cpu")
    closer, whole = (Tracker(model, history=1, closer_look=look) for look in (True, False))
    seen, judged = judge(closer, clip), judge(whole, clip)
    assert any(answer.closer_look for answer in closer.history.newest.answers.values())
    assert torch.equal(seen.tokens, judged.tokens) and torch.equal(seen.iou, judged.iou)


def test_damaged_clips_are_skipped(model, capsys):
    class Damaged(list):
        def __getitem__(self, index):
            raise ClipError("broken", "cannot be decoded", index)

        def __iter__(self):
            yield self[0]

    sound = make_clip(frames=2)
    broken = Clip("broken", Damaged(sound.frames), sound.object_ids, sound.masks)
    clips, tracker = [broken, sound, broken, sound], Tracker(model, history=1)
    with pytest.raises(ValueError, match="2 clips are too few"):
        gather(tracker, clips.__getitem__, range(4), minutes=1, workers=0)
    judged = gather(tracker, (clips * 3).__getitem__, range(12), minutes=1, workers=0)
    assert judged.clip.unique().tolist() == [1, 3, 5, 7, 9, 11]
    assert "skipped: broken" in capsys.readouterr().err

    def opened(number: int) -> Clip:
        if number % 2:
            raise ClipError("missing", "there is no such file")
        return sound

    judged = gather(tracker, opened, range(12), minutes=1, workers=1)
    assert judged.clip.unique().tolist() == [0, 2, 4, 6, 8, 10]


def test_objects_beyond_max_objects_are_left_out(model):
    judged = judge(Tracker(model, history=1, max_objects=2), make_clip(frames=6))
    assert (len(judged.tokens), int(judged.prompted.sum())) == (2 * 6, 2)


def test_fitted_head_chooses_better_candidates():
    """The token encodes the best candidate, which the head has to learn, also for unseen clips."""
    torch.manual_seed(0)
    tokens = torch.randn(4000, 16)
    worth = (0.5 + 0.1 * tokens[:, :4]).clamp(0, 1)
    nothing = torch.zeros(len(tokens), dtype=torch.int64)
    judged = Judged(tokens, torch.full_like(worth, 0.5), worth, nothing.bool(), nothing)
    seen = torch.arange(len(tokens)) < 3000
    head = MLP(16, 32, 4, layers=3)
    with torch.no_grad():
        before = choice(judged.select(~seen), head(tokens[~seen]).sigmoid())
    fit(head, judged.select(seen), epochs=50)
    after = choice(judged.select(~seen), head(tokens[~seen]).sigmoid())
    assert before[1:3] == after[1:3]  # the best and the mean are unchanged
    assert before[0] < 0.52 < 0.57 < after[0] <= after[1]
    assert after[3] < 0.04 < before[3]


@pytest.mark.slow
def test_command_changes_only_the_head(tmp_path):
    davis.write([make_clip(f"walk{number}", frames=4) for number in range(5)], tmp_path / "data")
    command = [sys.executable, "-m", "sam2_ros.training.iou_head", tmp_path / "out.safetensors", "--data"]
    done = subprocess.run([*command, tmp_path / "data"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "after a click, after" in done.stdout and "later frames, before" in done.stdout
    old, new = read_weights(DEFAULT_WEIGHTS), read_weights(tmp_path / "out.safetensors")
    changed = {key for key in old if not torch.equal(old[key], new[key])}
    assert changed and all(key.startswith("sam_mask_decoder.iou_prediction_head.") for key in changed)

    davis.write([make_clip("alone", frames=4)], tmp_path / "one")
    done = subprocess.run([*command, tmp_path / "one"], capture_output=True, text=True)
    assert done.returncode == 2 and "error: 1 clips are too few" in done.stderr


@pytest.mark.slow
def test_command_on_scenes(tmp_path):
    command = [sys.executable, "-m", "sam2_ros.training.iou_head", tmp_path / "out.safetensors", "--size", "64"]
    still = photograph(0)
    davis.write([Clip("still", [still.image], (1,), [still.label[None] == 1])], tmp_path / "stills")
    options = ["--photographs", tmp_path / "stills", "--minutes", "0.1", "--workers", "0"]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "later frames, after" in done.stdout and (tmp_path / "out.safetensors").exists()
