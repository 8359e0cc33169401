"""Imports of the light modules: readers of masklets and senders of prompts need neither PyTorch nor OpenCV."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

HEAVY = ("torch", "cv2", "av", "PIL", "safetensors", "rosbags", "rich", "tqdm", "transformers")

# Goes before all imports, and makes the packages seem not installed.
WITHOUT = "import sys; sys.modules |= dict.fromkeys({missing!r}); sys.argv = {argv!r}\n"


def python(program: str, missing: tuple[str, ...], *argv: object) -> subprocess.CompletedProcess:
    """Runs a program in a process without the `missing` packages."""
    code = WITHOUT.format(missing=missing, argv=["program", *map(str, argv)]) + program
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=os.environ)


@pytest.mark.parametrize(
    "module",
    [
        "sam2_ros",
        "sam2_ros.msg",
        "sam2_ros.srv",
        "sam2_ros.tracking",
        "sam2_ros.tracking.boxes",
        "sam2_ros.tracking.rle",
        "sam2_ros.tracking.prompt",
        "sam2_ros.tracking.masklet",
        "sam2_ros.model.config",
        "sam2_ros.checkpoints",
        "sam2_ros.system.allocator",
        "sam2_ros.system.cache",
        "sam2_ros.system.stopping",
        "sam2_ros.data.clips",
        "sam2_ros.data.formats",
        "sam2_ros.ros.prompter",
        "sam2_ros.ros.discovery",
        "sam2_ros.ros.parameters",
        "sam2_ros.ros.masklets",
        "sam2_ros.ros.clouds",
    ],
)
def test_light_modules_need_only_numpy_and_ros(module: str) -> None:
    program = f"import {module}; print([name for name in {HEAVY!r} if sys.modules.get(name)])"
    completed = python(program, ("torch", "cv2"))
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "module",
    [
        *(f"ros.{name}" for name in ("demo.__main__", "recorder", "camera", "graph", "recording")),
        "desk.live.node",
        "desk.live.demo",
    ],
)
def test_other_executables_need_no_pytorch(module: str) -> None:
    completed = python(f"import sam2_ros.{module}", ("torch", "safetensors"))
    assert completed.returncode == 0, completed.stderr


def test_data_geometry_and_scenes_need_neither_pytorch_nor_ros() -> None:
    program = """
import pkgutil, importlib, sam2_ros.data, sam2_ros.geometry, sam2_ros.scenes
for room in (sam2_ros.data, sam2_ros.geometry, sam2_ros.scenes):
    for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
        importlib.import_module(module.name)
"""
    completed = python(program, ("torch", "rclpy"))
    assert completed.returncode == 0, completed.stderr


def test_prompts_need_no_pytorch() -> None:
    program = """
import sam2_ros
from sam2_ros import Box, Click, Prompt, PromptError
from sam2_ros.tracking import Prompt as same
assert same is Prompt
Prompt(clicks=(Click(3, 4),), box=Box(1, 2, 3, 4)).checked(10, 10)
try:
    Prompt().checked(10, 10)
except PromptError as error:
    print(error)
"""
    completed = python(program, HEAVY)
    assert completed.stdout.startswith("the prompt is empty"), completed.stderr


@pytest.mark.parametrize(
    ("argument", "output"), [("--help", "usage: python -m"), ("--node=a b", "prompt: 'a b' is not")]
)
def test_prompt_runs_without_pytorch_and_opencv(ros_domain: int, argument: str, output: str) -> None:
    """Both its help and its search for a node."""
    completed = python("from sam2_ros.ros.prompter import main; sys.exit(main())", HEAVY, "--click=3,4", argument)
    assert output in completed.stdout + completed.stderr and "Traceback" not in completed.stderr, completed.stderr


def test_mask_prompts_need_neither_pytorch_nor_opencv(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 6), 255, np.uint8)).save(tmp_path / "mask.png")
    program = """
from sam2_ros.data.mask_file import read_mask
from sam2_ros.ros.prompter import mask_message
message = mask_message(read_mask(sys.argv[1]))
print(message.width, message.height, message.encoding, len(message.data))
"""
    completed = python(program, ("torch", "safetensors"), tmp_path / "mask.png")
    assert completed.stdout.split() == ["6", "4", "mono8", "24"], completed.stderr
