"""The command that trains."""

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Writer
from small_clips import make_clip

from sam2_ros.checkpoints.download import checksum
from sam2_ros.checkpoints.load import load_model
from sam2_ros.checkpoints.official import OFFICIAL, cached_checkpoint
from sam2_ros.checkpoints.save import save_official, save_weights
from sam2_ros.data import bag, davis
from sam2_ros.data.bag_corrections import uncorrected
from sam2_ros.data.bag_types import typestore
from sam2_ros.data.clips import Clips
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2
from sam2_ros.training.__main__ import arguments, recipe_of, trainer
from sam2_ros.training.initial import initial_model
from sam2_ros.training.recipe import Recipe, load
from sam2_ros.training.recordings import size_of
from sam2_ros.training.uncorrected import warn_of_uncorrected
from sam2_ros.training.validation import Scores

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the default model, in Meta's format."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "default.pt"
    save_official(SAM2(CONFIGS["default"]), file)
    return file


@pytest.fixture
def short(tmp_path: Path) -> tuple[str | Path, ...]:
    """Fine-tuning on two small frames."""
    recipe = tmp_path / "short.toml"
    recipe.write_text(
        'base = "fine-tuning"\n[stage]\nsize = 64\nframes = 2\nworkers = 1\n[learning]\nwarm_up = 0\n'
        "[prompting]\nmin_corrections = 1\nmax_corrections = 1\n"
    )
    return "--recipe", recipe


def start(*options: str | Path) -> subprocess.Popen[str]:
    """The command, in its own process group."""
    command = [sys.executable, "-u", "-m", "sam2_ros.training", *map(str, options)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )


def test_errors_end_the_command_and_its_workers(tmp_path, weights, short):
    """The command does not wait for data workers, which ignore signals."""
    davis.write([make_clip("walk")], tmp_path / "folder")
    options = "--init", weights, "--data", tmp_path / "folder", "--steps", "1", *short
    (tmp_path / "run/checkpoint.part").mkdir(parents=True)  # it can't be written
    (tmp_path / "file").write_text("no folder")
    for out in ("run", "file"):
        running = start(tmp_path / out, *options)
        try:
            _, errors = running.communicate(timeout=120)
        finally:
            running.kill()
        assert running.returncode == 2 and "error: " in errors and "Traceback" not in errors, errors


def test_training_without_clips_is_an_error():
    with pytest.raises(ValueError, match="there are no clips to learn from"):
        size_of(Clips((), make_clip))


def test_fine_tuning_on_a_folder_and_a_bag(tmp_path, weights, short):
    davis.write([make_clip("walk")], tmp_path / "folder")
    bag.write(make_clip("run"), tmp_path / "bag")
    running = start(
        tmp_path / "run", "--init", weights, "--data", tmp_path / "folder", tmp_path / "bag",
        "--validation", tmp_path / "folder", "--steps", "2", *short,
    )  # fmt: skip
    output, errors = running.communicate()
    assert running.returncode == 0, errors
    assert "validation after 0 steps: IoU" in output and "validation after 2 steps: IoU" in output
    written = {file.name for file in (tmp_path / "run").iterdir()}
    assert {"checkpoint.pt", "average.safetensors", "recipe.toml", "validation_0.png", "training_0.png"} <= written
    assert any(name.startswith("events.out.tfevents") for name in written)
    again = start(tmp_path / "run", "--init", weights, "--data", tmp_path / "folder")
    output, errors = again.communicate()
    assert again.returncode == 0 and "this stage is complete, after 2 steps" in output, errors
    before, after = load_model(checkpoint=weights), load_model(checkpoint=tmp_path / "run" / "average.safetensors")
    assert after.config.name == "default"
    assert not torch.equal(before.no_mem_embed, after.no_mem_embed)


def test_piped_output_is_plain_lines_that_end_with_the_result(tmp_path, weights, short):
    """No bar, no carriage returns, no estimated total, no NaN."""
    davis.write([make_clip("walk")], tmp_path / "folder")  # its object never disappears
    running = start(
        tmp_path / "run", "--init", weights, "--data", tmp_path / "folder", "--validation", tmp_path / "folder",
        "--minutes", "0.05", *short,
    )  # fmt: skip
    output, errors = running.communicate()
    assert running.returncode == 0, errors
    lines = output.splitlines()
    assert all(re.match(r"(validation after )?(step )?\d+|complete|  ", line) for line in lines), output
    assert "nan" not in output and "?" not in output.replace("is it better?", "")
    assert "\r" not in output + errors and "\x1b" not in output + errors and "it/s" not in errors
    steps = [line for line in lines if line.startswith("step ")]
    assert steps and all("% of 0.05 minutes: loss " in line for line in steps), "also of fewer steps than are averaged"
    result = tmp_path / "run/average.safetensors"
    assert re.fullmatch(rf"complete after \d+ steps. The weights: {result}", lines[-3])
    assert lines[-2].endswith(f"python -m sam2_ros.evaluation --data {tmp_path / 'folder'} --checkpoint {result}")
    assert f"sam2.launch.py checkpoint:={result}" in lines[-1]


def test_scores_without_values_are_left_out():
    assert str(Scores(0.5, 0.25, 1.0, float("nan"))) == (
        "IoU 0.500 on the first frame, 0.250 later, present 1.000 when visible"
    )


def test_uncorrected_predictions_warn(tmp_path, weights, short):
    recorded(tmp_path / "recordings/raw", corrected=False)
    recorded(tmp_path / "recordings/corrected", corrected=True)
    bag.write(make_clip("run"), tmp_path / "recordings/truth")
    assert uncorrected(tmp_path / "recordings") == [tmp_path / "recordings/raw"]
    running = start(
        tmp_path / "run", "--init", weights, "--data", tmp_path / "recordings",
        "--validation", tmp_path / "recordings/raw", "--steps", "1", *short,
    )  # fmt: skip
    _, errors = running.communicate()
    warned = [line for line in errors.splitlines() if line.startswith("warning: ")]
    raw = tmp_path / "recordings/raw"
    assert warned[0].startswith(f"warning: the masklets of {raw} were made by a network and never corrected")
    assert warned[1].startswith(f"warning: the masklets of {raw}, which validation takes for the truth")


def test_corrected_masklets_do_not_warn(tmp_path, recwarn):
    recorded(tmp_path / "corrected", corrected=True)
    bag.write(make_clip("run"), tmp_path / "truth")
    (tmp_path / "damaged.mcap").write_bytes(b"no bag")
    warn_of_uncorrected([tmp_path / "corrected", tmp_path / "truth", tmp_path / "damaged.mcap"], None)
    assert not recwarn


def recorded(path: Path, corrected: bool) -> None:
    """A bag as recorded from the node: masklets with a predicted IoU, and their prompts."""
    path.parent.mkdir(exist_ok=True)
    bag.write(make_clip("run"), path.with_suffix(".truth"))
    types = typestore()
    prompts = "sam2_ros/msg/PromptArray"
    with AnyReader([path.with_suffix(".truth")], default_typestore=types) as reader, Writer(path, version=9) as writer:
        topics = {
            one.topic: writer.add_connection(one.topic, one.msgtype, typestore=types) for one in reader.connections
        }
        applied = writer.add_connection("/sam2/applied_prompts", prompts, typestore=types)
        headers = []
        for connection, received, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            if connection.msgtype == bag.MASKLETS:
                headers.append(message.header)
                for masklet in message.masklets:
                    masklet.iou = 0.87
                data = types.serialize_cdr(message, connection.msgtype)
            writer.write(topics[connection.topic], received, data)
        for header in headers[: 2 if corrected else 1]:
            clicks = [types.types["sam2_ros/msg/Click"](3.0, 4.0, True)]
            nothing = types.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
            no_mask = types.types["sensor_msgs/msg/Image"](header, 0, 0, "", 0, 0, np.zeros(0, np.uint8))
            prompt = types.types["sam2_ros/msg/Prompt"](1, "", clicks, nothing, no_mask, False)
            message = types.types[prompts](header, [prompt])
            writer.write(applied, 2 * 10**9, types.serialize_cdr(message, prompts))
    shutil.rmtree(path.with_suffix(".truth"))


def test_errors_name_the_problem(tmp_path, weights):
    running = start(tmp_path / "run", "--init", weights, "--data", tmp_path / "nothing", "--recipe", "fine-tuning")
    _, errors = running.communicate()
    assert running.returncode == 2 and "no such file or folder" in errors
    assert "Traceback" not in errors


def test_ctrl_c_ends_a_run_with_a_checkpoint(tmp_path, weights, short):
    davis.write([make_clip("walk")], tmp_path / "folder")
    running = start(
        tmp_path / "run", "--init", weights, "--data", tmp_path / "folder", "--validation", tmp_path / "folder",
        "--steps", "1000000", *short,
    )  # fmt: skip
    assert any("after 0 steps: IoU" in line for line in running.stdout)
    os.killpg(running.pid, signal.SIGINT)  # to its data worker too, as a terminal does
    output, errors = running.communicate()
    assert running.returncode == 0 and "Traceback" not in errors, errors
    assert f"the same command resumes from there. The weights so far: {tmp_path / 'run/average.safetensors'}" in output
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] >= 0


def test_options_replace_settings_of_the_recipe(tmp_path):
    def parsed(*options: str) -> Recipe:
        return recipe_of(arguments().parse_args([str(tmp_path), *options]))

    assert parsed() == Recipe()
    assert parsed("--recipe", "scratch") == load("scratch")
    changed = parsed("--recipe", "fine-tuning", "--minutes", "5", "--frames", "3", "--lr", "1e-3")
    assert changed.stage.minutes == 5 and changed.stage.steps is None and changed.stage.frames == 3
    assert changed.learning == replace(load("fine-tuning").learning, lr=1e-3)
    with pytest.raises(ValueError, match="`steps` must be at least 1, not 0"):
        parsed("--steps", "0")


def test_a_run_is_resumed_with_its_own_recipe(tmp_path):
    recipe = load("scratch").changed({"learning": {"lr": 1e-5}})
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    assert recipe_of(arguments().parse_args([str(tmp_path)])) == recipe
    longer = recipe_of(arguments().parse_args([str(tmp_path), "--steps", "9000"]))
    assert longer == replace(recipe, stage=replace(recipe.stage, steps=9000))
    assert recipe_of(arguments().parse_args([str(tmp_path), "--recipe", "paper"])) == load("paper")


def test_model_is_identified_by_the_weights(tmp_path):
    torch.manual_seed(0)
    save_weights(SAM2(CONFIGS["sam2.1_hiera_tiny"]), tmp_path / "tiny.safetensors")
    (tmp_path / "recipe.toml").write_text('base = "paper"\n[learning]\ndrop_path = 0.2\n')
    options = arguments().parse_args([str(tmp_path), "--init", str(tmp_path / "tiny.safetensors")])
    model = initial_model(options.model, options.init, recipe_of(options))
    assert model.config.name == "sam2.1_hiera_tiny" and model.config.image_size == 1024
    assert model.image_encoder.trunk.blocks[-1].drop == pytest.approx(0.2)


@pytest.mark.parametrize("aspect, shape", [("auto", (96, 160)), ("3:4", (160, 96))])
def test_input_size_comes_from_the_first_intact_clip(tmp_path, weights, aspect, shape):
    davis.write([make_clip("walk"), make_clip("again")], tmp_path / "data")
    (tmp_path / "data/JPEGImages/480p/again/00000.jpg").write_bytes(b"no picture")  # the first clip by name
    (tmp_path / "recipe.toml").write_text(f'[stage]\naspect = "{aspect}"\nsize = 128\nframes = 2\nsteps = 1\n')
    words = [tmp_path / "run", "--init", weights, "--data", tmp_path / "data", "--recipe", tmp_path / "recipe.toml"]
    ready = trainer(arguments().parse_args([*map(str, words)]), torch.device("cpu"))
    assert ready.samples[1, 0].images.shape == (1, 2, 3, *shape)


@pytest.mark.parametrize("recipe", ["fine-tuning", "fine-tuning-default"])
def test_fine_tuning_starts_from_released_weights(recipe):
    options = arguments().parse_args(["run", "--recipe", recipe])
    model = initial_model(options.model, options.init, recipe_of(options))
    shipped = load_model(device="cpu").state_dict()
    assert all(torch.equal(value, shipped[name]) for name, value in model.state_dict().items())


def test_released_weights_are_read_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = cached_checkpoint("sam2.1_hiera_tiny")
    file.parent.mkdir()
    torch.manual_seed(1)
    released = SAM2(CONFIGS["sam2.1_hiera_tiny"])
    save_official(released, file)
    monkeypatch.setitem(OFFICIAL, "sam2.1_hiera_tiny", ("http://localhost", checksum(file)))
    options = arguments().parse_args(["run", "--recipe", "fine-tuning", "--model", "sam2.1_hiera_tiny"])
    model = initial_model(options.model, options.init, recipe_of(options))
    assert torch.equal(model.no_mem_embed, released.no_mem_embed)
