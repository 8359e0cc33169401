"""The command line, from a folder of clips to tables and pictures."""

import json
import shutil
import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from sam2_ros.checkpoints.load import DEFAULT_WEIGHTS
from sam2_ros.checkpoints.names import VIDEO_ONLY
from sam2_ros.checkpoints.save import save_weights
from sam2_ros.data import coco, davis, sa1b
from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.__main__ import main
from sam2_ros.model import CONFIGS, SAM2
from sam2_ros.tracking import EverythingSettings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights, and two short clips in DAVIS layout: a square that moves over noise, and two that stand still."""
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
def test_scores_of_a_folder(folder, tmp_path, monkeypatch, capsys, prompt):
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


@pytest.mark.parametrize("protocol", ["vos", "image"])
def test_exported_graphs_are_scored(exported, folder, tmp_path, monkeypatch, capsys, protocol):
    options = ["--checkpoint", exported, "--protocol", protocol, "--only", "walk", "--out", tmp_path / "out"]
    assert run(monkeypatch, "--davis", folder, *options) == 0, capsys.readouterr().out
    settings = json.loads((tmp_path / "out" / "scores.json").read_text())["settings"]
    assert (settings["model"], settings["size"], settings["aspect"]) == ("default", "192", "4:3")
    assert (settings["checkpoint"], settings["device"]) == (str(exported), "cpu")


def test_automatic_masks(folder, tmp_path, monkeypatch, capsys):
    options = ["--only", "walk", "--device", "cpu", "--size", 64, "--protocol", "everything", "--out", tmp_path]
    assert run(monkeypatch, "--davis", folder, *options) == 0, capsys.readouterr().out
    printed = capsys.readouterr().out
    assert "false masks an image" in printed and "found (IoU > 0.7)" in printed
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert [(image["frame"], image["object_ids"]) for image in scores["images"]] == [(0, [1])]
    suited = EverythingSettings.suited_to(CONFIGS["default"])
    assert scores["settings"]["pred_iou_thresh"] == str(suited.pred_iou_thresh)  # so that numbers can be repeated
    assert "points_per_batch" not in scores["settings"]
    assert cv2.imread(str(tmp_path / "walk.png")).shape[1] > 300 and (tmp_path / "curves.png").exists()


def test_automatic_masklets(folder, tmp_path, monkeypatch, capsys):
    options = ["--only", "walk", "--device", "cpu", "--size", 64, "--protocol", "masklets", "--out", tmp_path]
    assert run(monkeypatch, "--davis", folder, *options) == 0, capsys.readouterr().out
    printed = capsys.readouterr().out
    assert "of 1 objects followed" in printed and "precision" in printed
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["total"]["objects"] == 1 and scores["clips"]["walk"]["masklets"] == scores["total"]["masklets"]
    assert scores["settings"]["points_per_side"] == "16"
    assert cv2.imread(str(tmp_path / "walk.png")).shape[1] > 300 and (tmp_path / "curves.png").exists()


def test_exported_graphs_are_refused_at_another_size(exported, folder, tmp_path, monkeypatch, capsys):
    options = ["--checkpoint", exported, "--size", 256, "--out", tmp_path / "out"]
    assert run(monkeypatch, "--davis", folder, *options) == 2
    assert "graphs for 192 pixels, aspect 4:3, not for 256 pixels, aspect 4:3" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_weights_without_memory_are_scored_on_images_and_refused_for_videos(folder, tmp_path, monkeypatch, capsys):
    weights = {key: value for key, value in load_file(DEFAULT_WEIGHTS).items() if not VIDEO_ONLY.match(key)}
    save_file(weights, tmp_path / "stills.safetensors")
    options = ["--davis", folder, "--checkpoint", tmp_path / "stills.safetensors", "--device", "cpu", "--size", 64]
    with pytest.warns(UserWarning, match="nothing can be tracked"):
        assert run(monkeypatch, *options, "--protocol", "image", "--out", tmp_path / "image") == 0
    for protocol in ("vos", "online"):
        with pytest.warns(UserWarning, match="nothing can be tracked"):
            status = run(monkeypatch, *options, "--protocol", protocol, "--out", tmp_path / protocol)
        assert status == 2 and "These weights are for still images" in capsys.readouterr().out


def test_kinds_of_prompts_score_like_single_runs_and_saved_masks(folder, tmp_path, monkeypatch, capsys):
    """Kinds of prompts tracked side by side score as each alone, and saved masks score as the run."""
    weights = ["--checkpoint", folder / "random.safetensors"]
    both = tmp_path / "both"
    assert run(monkeypatch, "--davis", folder, "--prompt", "mask", "box", "--save-masks", *weights, "--out", both) == 0
    scores = json.loads((both / "scores.json").read_text())["prompts"]
    assert list(scores) == ["mask", "box"]
    assert run(monkeypatch, "--davis", folder, "--prompt", "box", *weights, "--out", tmp_path / "box") == 0
    alone = json.loads((tmp_path / "box/scores.json").read_text())
    assert scores["box"]["total"]["j"] == pytest.approx(alone["total"]["j"], abs=2e-3)
    assert scores["box"]["total"]["j"] != pytest.approx(scores["mask"]["total"]["j"], abs=1e-5)
    assert (both / "mask/stand.png").exists() and (both / "curves.png").exists()

    assert run(monkeypatch, "--data", folder, "--only", "walk", "--masks", both / "box/masks", "--out", tmp_path) == 0
    again = json.loads((tmp_path / "scores.json").read_text())
    assert again["total"]["j"] == pytest.approx(scores["box"]["clips"]["walk"]["j"], abs=1e-5)
    assert "frames/s" not in capsys.readouterr().out.split("scores.md")[-2]


def test_non_overlap(folder, tmp_path, monkeypatch):
    """Kinds of prompts don't take pixels from each other: each scores as alone."""
    options = ["--davis", folder, "--only", "walk", "--checkpoint", folder / "random.safetensors", "--non-overlap"]
    assert run(monkeypatch, *options, "--prompt", "mask", "box", "--save-masks", "--out", tmp_path / "both") == 0
    assert run(monkeypatch, *options, "--prompt", "box", "--save-masks", "--out", tmp_path / "box") == 0
    of_both, alone = (tmp_path / name for name in ("both/box/masks", "box/masks"))
    files = sorted(file.relative_to(alone) for file in alone.rglob("*.png"))
    assert files and all((of_both / file).read_bytes() == (alone / file).read_bytes() for file in files)
    assert "not allowed" in (tmp_path / "box/scores.md").read_text()


@pytest.mark.parametrize("protocol", ["offline", "online"])
def test_interactive(folder, tmp_path, monkeypatch, protocol):
    options = ["--only", "walk", "--checkpoint", folder / "random.safetensors", "--out", tmp_path]
    assert run(monkeypatch, "--davis", folder, "--protocol", protocol, "--rounds", 2, "--overlays", *options) == 0
    (one,) = json.loads((tmp_path / "scores.json").read_text())["objects"]
    assert one["frames"][0] == 0 and len(one["frames"]) == len(one["j"]) == 2
    assert cv2.imread(str(tmp_path / "walk.png")).shape[1] == 1280
    assert (tmp_path / "overlays/walk/00004.png").exists()
    assert "| clip | objects | 1 | 2 | mean | frames | clicks |" in (tmp_path / "scores.md").read_text()


def test_image_protocol(folder, tmp_path, monkeypatch):
    options = ["--checkpoint", folder / "random.safetensors", "--out", tmp_path, "--overlays"]
    assert run(monkeypatch, "--davis", folder, "--protocol", "image", "--every", 2, *options) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert [(one["clip"], one["frame"]) for one in scores["masks"]][:4] == [("stand", 0)] * 2 + [("stand", 2)] * 2
    assert len(scores["miou"]) == 5
    assert cv2.imread(str(tmp_path / "stand.png")) is not None
    assert cv2.imread(str(tmp_path / "overlays/walk/00004.png")).shape == (48, 64, 3)


@pytest.mark.parametrize("protocol", ["vos", "offline", "image"])
def test_damaged_clips_are_skipped(protocol, folder, tmp_path, monkeypatch, capsys):
    copy = shutil.copytree(folder, tmp_path / "copy")
    damaged = copy / "JPEGImages/480p/stand/00003.jpg"
    damaged.write_bytes(damaged.read_bytes()[:200])
    out = tmp_path / "out"
    more = {"offline": ["--rounds", 1], "image": ["--every", 1]}.get(protocol, [])
    options = ["--davis", copy, "--protocol", protocol, "--checkpoint", copy / "random.safetensors", *more]
    assert run(monkeypatch, *options, "--out", out) == 0
    assert "stand                skipped: " in capsys.readouterr().out
    scores = json.loads((out / "scores.json").read_text())
    (skipped,) = scores["skipped"]
    assert (skipped["clip"], skipped["file"], skipped["frame"]) == ("stand", str(damaged), 3)
    assert {one["clip"] for one in scores["masks" if protocol == "image" else "objects"]} == {"walk"}
    report = (out / "scores.md").read_text()
    assert f"Skipped and not in the scores: stand ({damaged}, frame 3: " in report and "| stand |" not in report
    assert run(monkeypatch, *options, "--out", out, "--strict") == 2
    assert run(monkeypatch, *options, "--out", out, "--only", "stand") == 2
    assert "no clip can be scored; the last error: " in capsys.readouterr().out


@pytest.mark.parametrize("options", [[], ["--masks"], ["--protocol", "offline"], ["--protocol", "image"]])
def test_exit_status_2_if_nothing_was_scored(folder, tmp_path, monkeypatch, capsys, options):
    """Two frames, of which the prompted one and the last don't count; for `image`, frames that show no object."""
    frames = [np.zeros((48, 64, 3), np.uint8)] * 2
    masks = [np.zeros((2, 48, 64), bool) for _ in frames]
    masks[0][0, 4:20, 4:20] = "image" not in options
    davis.write([Clip("short", frames, (1, 2), masks)], tmp_path)
    if options == ["--masks"]:
        options = [*options, tmp_path / "Annotations/480p"]
    else:
        options = [*options, "--checkpoint", folder / "random.safetensors"]
    assert run(monkeypatch, "--davis", tmp_path, *options, "--out", tmp_path / "out") == 2
    printed = capsys.readouterr().out
    assert "error: nothing was scored (1 clips): no object is visible on " in printed
    assert not (tmp_path / "out/scores.json").exists()


def test_missing_predictions_are_an_error(folder, tmp_path, monkeypatch, capsys):
    shutil.copytree(folder / "Annotations/480p/walk", tmp_path / "masks/walk")
    assert run(monkeypatch, "--davis", folder, "--masks", tmp_path / "masks", "--out", tmp_path / "out") == 2
    assert "stand: the folder with this clip's masks is missing" in capsys.readouterr().out


def test_clips_of_a_list(folder, tmp_path, monkeypatch, capsys):
    masks = ["--masks", folder / "Annotations/480p", "--out", tmp_path]
    copy = shutil.copytree(folder, tmp_path / "copy")
    for file in (copy / "ImageSets/2017/val.txt", tmp_path / "val.txt"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("walk\n")
    for options in (["--davis", copy, "--split", "2017/val"], ["--data", folder, "--list", tmp_path / "val.txt"]):
        assert run(monkeypatch, *options, *masks) == 0
        assert json.loads((tmp_path / "scores.json").read_text())["clips"].keys() == {"walk"}
    (tmp_path / "val.txt").write_text("walk\nfly\n")
    assert run(monkeypatch, "--data", folder, "--list", tmp_path / "val.txt", *masks) == 2
    assert "there is no clip fly in" in capsys.readouterr().out


def test_only_selects_clips_by_prefix(folder, tmp_path, monkeypatch):
    weights = folder / "random.safetensors"
    assert run(monkeypatch, "--davis", folder, "--only", "wa", "--checkpoint", weights, "--out", tmp_path) == 0
    assert json.loads((tmp_path / "scores.json").read_text())["clips"].keys() == {"walk"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--davis", "nowhere", "--checkpoint", "{weights}"], "JPEGImages"),
        (["--davis", "{folder}", "--checkpoint", "nothing.pt"], "nothing.pt"),
        (["--davis", "{folder}", "--checkpoint", "{weights}", "--only", "nobody"], "the clips are stand, walk"),
        (["--data", "nowhere"], "no such file or folder"),
        (["--davis", "{folder}", "--masks", "nowhere"], "no such folder of masks"),
        (["--davis", "{folder}", "--masks", "{folder}"], "the folder with this clip's masks is missing"),
    ],
)
def test_errors_are_printed_without_traceback(folder, tmp_path, monkeypatch, capsys, arguments, reason):
    words = [word.format(folder=folder, weights=folder / "random.safetensors") for word in arguments]
    assert run(monkeypatch, *words, "--out", tmp_path / "out") == 2
    printed = capsys.readouterr().out
    assert printed.strip().startswith("error:") and reason in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--prompt", "click"], "--suite"),
        (["--suite", "--protocol", "image", "--prompt", "mask"], "--prompt needs --protocol vos"),
        (["--suite", "--every", "2"], "--every needs --protocol image"),
        (["--data", "somewhere", "--split", "2017/val"], "--split needs --davis"),
        (["--suite", "--images", "/left"], "--images and --masklets need --data"),
        (["--suite", "--protocol", "online", "--rounds", "-1"], "--rounds must be 1 or more"),
        (["--suite", "--masks", "somewhere", "--model", "default"], "can't be used with --masks"),
        (["--suite", "--answer-values", "binary"], "--answer-values needs --masks"),
        (["--suite", "--mask-values", "binary"], "--mask-values needs --davis or --data"),
    ],
)
def test_incompatible_options(monkeypatch, capsys, arguments, reason):
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, *arguments)
    assert stopped.value.code == 2
    assert reason in capsys.readouterr().err


def soften(root):
    """Give the only object of a clip a soft edge, of 0 to 255."""
    for file in root.glob("Annotations/480p/walk/*.png"):
        hard = (np.array(Image.open(file)) > 0) * np.uint8(255)
        Image.fromarray(cv2.GaussianBlur(hard, (3, 3), 0)).save(file)


def test_soft_masks_warn_and_are_saved_in_the_truths_format(folder, tmp_path, monkeypatch, capsys):
    copy = shutil.copytree(folder, tmp_path / "copy")
    soften(copy)
    options = ["--only", "walk", "--out", tmp_path / "out", "--checkpoint", folder / "random.safetensors"]
    assert run(monkeypatch, "--davis", copy, *options, "--save-masks") == 0
    printed = capsys.readouterr().out
    assert printed.count("warning: ") == 1 and "masks with soft edges, thresholded at half" in printed
    assert "masks with soft edges" in (tmp_path / "out/scores.md").read_text()
    saved = np.unique([np.array(Image.open(file)) for file in (tmp_path / "out/masks/walk").iterdir()]).tolist()
    assert saved in ([0, 255], [0], [255])
    assert json.loads((tmp_path / "out/scores.json").read_text())["total"]["objects"] == 1


def test_masks_of_255_score_like_the_public_tool(folder, tmp_path, monkeypatch):
    """DAVIS 2016: masks of --save-masks, read by vos-benchmark."""
    benchmark = pytest.importorskip("vos_benchmark.benchmark")
    copy = shutil.copytree(folder, tmp_path / "copy")
    for file in (copy / "Annotations/480p/walk").iterdir():
        Image.fromarray((np.array(Image.open(file)) > 0) * np.uint8(255)).save(file)
    options = ["--only", "walk", "--prompt", "mask", "--checkpoint", folder / "random.safetensors", "--save-masks"]
    assert run(monkeypatch, "--davis", copy, *options, "--out", tmp_path / "out") == 0
    ours = json.loads((tmp_path / "out/scores.json").read_text())["total"]
    masks = tmp_path / "out/masks"
    _, j, f = benchmark.VideoEvaluator(str(copy / "Annotations/480p"), str(masks))("walk")
    assert (ours["j"], ours["f"]) == pytest.approx((j[255] / 100, f[255] / 100), abs=1e-4)
    assert ours["j"] > 0


def test_mask_values_and_answer_values(folder, tmp_path, monkeypatch, capsys):
    """Meaning of values of the data set, and of another tracker's masks."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    for file in (copy / "Annotations/480p/walk").iterdir():
        Image.fromarray(cv2.GaussianBlur((np.array(Image.open(file)) > 0) * np.uint8(90), (3, 3), 0)).save(file)
    masks = ["--masks", copy / "Annotations/480p", "--only", "walk", "--out", tmp_path / "out"]
    assert run(monkeypatch, "--davis", copy, *masks) == 2
    assert "--mask-values" in capsys.readouterr().out
    assert run(monkeypatch, "--data", copy, *masks, "--mask-values", "binary") == 2
    assert "--answer-values" in capsys.readouterr().out
    both = ["--mask-values", "binary", "--answer-values", "binary"]
    assert run(monkeypatch, "--davis", copy, *masks, *both) == 0
    assert json.loads((tmp_path / "out/scores.json").read_text())["total"]["j"] == 1
    assert run(monkeypatch, "--davis", folder, *masks, "--answer-values", "binary") == 0
    assert json.loads((tmp_path / "out/scores.json").read_text())["total"]["j"] > 0.8


def test_stills_of_sa1b_and_of_coco_in_another_folder(folder, tmp_path, monkeypatch, capsys):
    """Unusable entries of a list are reported on the screen and in the report."""
    still = davis.read(folder, "walk")
    sa1b.write([still], tmp_path / "sa1b")
    coco.write([still], tmp_path / "coco")
    (tmp_path / "coco/images").rename(tmp_path / "pictures")
    (tmp_path / "pictures/walk-00001.jpg").unlink()
    image = ["--protocol", "image", "--every", "1", "--checkpoint", folder / "random.safetensors"]
    assert run(monkeypatch, "--data", tmp_path / "sa1b", *image, "--out", tmp_path / "one") == 0
    images = ["--images", tmp_path / "pictures"]
    assert run(monkeypatch, "--data", tmp_path / "coco", *images, *image, "--out", tmp_path / "two") == 0
    assert "left out images that are missing: 1 (walk-00001.jpg)" in capsys.readouterr().out
    assert "left out images that are missing: 1" in (tmp_path / "two/scores.md").read_text()
    masks = [len(json.loads((tmp_path / name / "scores.json").read_text())["masks"]) for name in ("one", "two")]
    assert masks == [5, 4]
    assert run(monkeypatch, "--data", tmp_path / "sa1b", *image[4:], "--out", tmp_path / "three") == 2
    assert "nothing was scored" in capsys.readouterr().out  # stills have no frame after the prompted one
