"""Checks of the `sam2` node's parameters that need the network's configurations, the devices or the file system.

Each raises ValueError, which names the accepted values.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sam2_ros.data.value_range import parse_range
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.input_size import STRIDE
from sam2_ros.ros.topics import NAME
from sam2_ros.system.device import device_of


def check_cameras(names: Sequence[str]) -> None:
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name: letters, digits and underscores, a letter first")
    if len(set(names)) < len(names):
        raise ValueError("a name occurs twice")


def check_model(name: str) -> None:
    if "/" in name or name.endswith((".pt", ".pth", ".safetensors")):
        raise ValueError("that looks like weights; give them as checkpoint, and leave model empty")
    if name and name not in CONFIGS:
        matches = difflib.get_close_matches(name, CONFIGS, n=1)
        suggestion = f" Did you mean {matches[0]}?" if matches else ""
        raise ValueError(f"there is no such model.{suggestion} Choose one of: {', '.join(CONFIGS)}")


def check_checkpoint(file: str) -> None:
    if file and not Path(file).expanduser().exists():
        folder = "" if Path(file).expanduser().is_absolute() else f" in {Path.cwd()}, where the node was started"
        raise ValueError(f"there is no such file or folder{folder}")


def check_resume_file(file: str) -> None:
    path = Path(file).expanduser().absolute()
    if file and (path.name in ("", "..") or (path.exists() and not path.is_file())):
        kind = "a folder" if path.is_dir() else "no ordinary file"
        raise ValueError(f"that is {kind}; give the name of a file, such as {path / 'objects.zip'}")


def check_image_size(side: int) -> None:
    if side % STRIDE:
        below = side // STRIDE * STRIDE
        nearest = " or ".join(str(multiple) for multiple in (below, below + STRIDE) if multiple)
        raise ValueError(f"it must be a multiple of {STRIDE}, such as {nearest}; 0 is the model's own")


def check_image_aspect(aspect: str) -> None:
    CONFIGS["default"].at(aspect=aspect or None)


CHECKS: dict[str, Callable[[Any], object]] = {
    "cameras": check_cameras,
    "model": check_model,
    "checkpoint": check_checkpoint,
    "image_size": check_image_size,
    "image_aspect": check_image_aspect,
    "device": device_of,
    "range_16bit": parse_range,
    "resume_file": check_resume_file,
}
"""Checks by parameter name."""
