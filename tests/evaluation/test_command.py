"""The command line, from a folder of clips to tables and pictures."""

import json
import sys

import cv2
import numpy as np
import pytest
import torch

from sam2_ros.data import davis
from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.__main__ import main
from sam2_ros.model import CONFIGS, SAM2
from sam2_ros.model.checkpoint import save_weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights, and two short clips in DAVIS layout: a square that walks over noise, and two that stand."""
    root = tmp_path_factory.mktemp("clips")
    torch.manual_seed(0)
    model = SAM2(CONFIGS["default"])
    torch.nn.init.constant_(model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias, 5.0)
    save_weights(model, root / "random.safetensors")
    rng = np.random.default_rng(0)

    def clip(name, *walks, frames=5):
        images, masks = [], []
        for t in range(frames):
            image = rng.integers(0, 120, (48, 64, 3), np.uint8)
            here = np.zeros((len(walks), 48, 64), bool)
            for row, (x, step) in enumerate(walks):
                here[row, 14:30, x + t * step : x + t * step + 16] = True
                image[here[row]] = (250, 200, 60 * row)
            images.append(image)
            masks.append(here)
        return Clip(name, images, tuple(range(1, len(walks) + 1)), masks)

    davis.write([clip("walk", (4, 3)), clip("stand", (4, 0), (40, 0))], root)
    return root


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["sam2_ros.evaluation", *map(str, arguments)])
    return main()


@pytest.mark.parametrize("prompt", ["mask", "3clicks"])
def test_scores_a_folder(folder, tmp_path, monkeypatch, capsys, prompt):
    weights = folder / "random.safetensors"
    out = tmp_path / "out"
    options = ["--prompt", prompt, "--checkpoint", weights, "--device", "cpu", "--out", out, "--overlays"]
    status = run(monkeypatch, "--davis", folder, *options)
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert "walk" in printed and "stand" in printed and "J&F" in printed

    scores = json.loads((out / "scores.json").read_text())
    assert scores["total"]["objects"] == 3
    assert scores["total"]["frames"] == 9  # 3 of 5 frames for each object
    assert {row["clip"] for row in scores["objects"]} == {"walk", "stand"}
    assert scores["objects"][0]["frame"] == [1, 2, 3]
    assert scores["settings"]["prompt"] == prompt
    clips = scores["clips"]
    mean = (clips["walk"]["j"] + 2 * clips["stand"]["j"]) / 3
    assert scores["total"]["j"] == pytest.approx(mean, abs=1e-4)
    table = (out / "scores.md").read_text()
    assert f"| all | 3 | 9 | {100 * scores['total']['j_and_f']:.1f} |" in table
    sheet = cv2.imread(str(out / "walk.png"))
    assert sheet is not None and sheet.shape[1] == 1280
    assert cv2.imread(str(out / "overlays/stand/00004.png")).shape == (48, 64, 3)


def test_only_some_clips(folder, tmp_path, monkeypatch):
    weights = folder / "random.safetensors"
    assert run(monkeypatch, "--davis", folder, "--only", "wa", "--checkpoint", weights, "--out", tmp_path) == 0
    assert json.loads((tmp_path / "scores.json").read_text())["clips"].keys() == {"walk"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--davis", "nowhere", "--checkpoint", "{weights}"], "JPEGImages"),
        (["--davis", "{folder}", "--checkpoint", "nothing.pt"], "nothing.pt"),
        (["--davis", "{folder}", "--checkpoint", "{weights}", "--only", "nobody"], "--only"),
    ],
)
def test_errors_are_one_sentence(folder, tmp_path, monkeypatch, capsys, arguments, reason):
    words = [word.format(folder=folder, weights=folder / "random.safetensors") for word in arguments]
    assert run(monkeypatch, *words, "--out", tmp_path / "out") == 2
    printed = capsys.readouterr().out
    assert printed.strip().startswith("error:") and reason in printed
    assert "Traceback" not in printed
