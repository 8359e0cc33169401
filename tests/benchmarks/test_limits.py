"""What is known reaches the network: its choice, its memory, and the table."""

from __future__ import annotations

from functools import partial

import limits
import numpy as np
import pytest
import torch
from small_network import default_network

from sam2_ros.acceleration import accelerate
from sam2_ros.model.mask_decoder import RawMasks, best_candidate
from sam2_ros.scenes.synthetic import suite_scene
from sam2_ros.tracking.tracker import Tracker


def informed(known: limits.Known) -> limits.Informed:
    return limits.Informed(accelerate(default_network()), known)


def test_the_candidate_nearest_to_the_truth_is_chosen_where_it_is_known() -> None:
    truth = torch.zeros(2, 16, 16, dtype=torch.bool)
    truth[0, 2:8, 2:8], truth[1, 6:14, 4:12] = True, True
    logits = torch.full((2, 4, 16, 16), -5.0)
    logits[:, 1] = 5.0  # everything
    logits[0, 3][truth[0]], logits[1, 2][truth[1]] = 5.0, 5.0
    raw = RawMasks(logits, torch.tensor([[0.0, 0.9, 0.1, 0.1]] * 2), torch.zeros(2, 4, 8), torch.ones(2))
    network = informed(limits.Known("click", best_first=True))
    network.truth = truth.numpy()
    assert network.nearest(raw).tolist() == best_candidate(raw).tolist() == [1, 1], "later frames: not known"
    network.prompting = True
    assert network.nearest(raw).tolist() == [3, 2]
    network.truth = truth.numpy() & False
    assert network.nearest(raw).tolist() == [1, 1], "nothing to be near to"


@pytest.mark.parametrize("true_memory", [False, True])
def test_frames_are_remembered_as_they_truly_are(true_memory: bool) -> None:
    network = informed(limits.Known("mask", true_memory=true_memory))
    tracker = Tracker(network, closer_look=False)  # type: ignore[arg-type]
    clip = suite_scene("occlusion-100", frames=5)
    scores = limits.scores(tracker, network, clip, "mask")
    assert len(scores) == len(clip.object_ids) and all(len(one.frames) == 3 for one in scores)
    assert clip.masks[4] is not None
    truth = torch.from_numpy(np.stack([clip.masks[4][clip.object_ids.index(number)] for number in tracker.objects]))
    features = tracker.history.newest.image.features
    logits = torch.where(network._resized(features.stride4.shape[-2:]) > 0.5, limits.PRESENT, -limits.PRESENT)
    present = torch.where(truth.flatten(1).any(1), limits.PRESENT, -limits.PRESENT)
    expected = network.encode_memory(features, logits, present, False)
    index = tracker.history.newest.index
    for bank, map in zip([one.bank for one in tracker.objects.values()], expected, strict=True):
        assert torch.allclose(bank.maps[index], map, atol=1e-4) == true_memory


def test_the_table_has_a_row_for_each_known_thing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(limits, "load_model", lambda **options: default_network())
    monkeypatch.setattr(limits, "suite_scene", partial(suite_scene, frames=4))
    monkeypatch.setattr("sys.argv", ["limits.py", "--challenges", "blur", "--scenes", "1"])
    limits.main()
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert [row[1].strip() for row in rows] == [str(known) for known in limits.ROWS]
    assert all(0 <= float(row[2]) <= 100 and row[2].strip() == row[5].strip() for row in rows)
