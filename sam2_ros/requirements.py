"""The packages that each command needs beyond NumPy and ROS: checked before it starts, not when it is half done."""

from __future__ import annotations

import sys
from importlib.util import find_spec

PACKAGES = {
    "PIL": "pillow",
    "aiohttp": "aiohttp",
    "av": "av",
    "cv2": "opencv-python-headless",
    "matplotlib": "matplotlib",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "onnxscript": "onnxscript",
    "ray": "ray",
    "rich": "rich",
    "pycocotools": "pycocotools",
    "mcap": "mcap",
    "rosbags": "rosbags",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "tensorboard": "tensorboard",
    "tomli": "tomli",
    "torch": "torch>=2.7",
}
"""What pip calls a module's package."""

_NETWORK = ("torch", "safetensors", "cv2", "PIL")
_TOML = () if sys.version_info >= (3, 11) else ("tomli",)

_RECORDINGS = ("rosbags", "mcap")

COMMANDS = {
    "annotate": (*_NETWORK, *_RECORDINGS, "av", "pycocotools", "scipy", "rich"),
    "average": _NETWORK,
    "camera": ("cv2", "PIL"),
    "demo": (*_NETWORK, *_RECORDINGS, "av", "rich"),
    "desk": ("aiohttp", "cv2", "PIL"),
    "evaluate": (*_NETWORK, "pycocotools", "scipy", "rich"),
    "export": (*_NETWORK, "onnx", "onnxruntime", "onnxscript", "rich"),
    "fleet": (*_NETWORK, *_RECORDINGS, "av", "pycocotools", "scipy", "rich", "ray"),
    "follow": (),
    "iou-head": (*_NETWORK, "rich"),
    "pictures": ("cv2", "PIL", "rich"),
    "prompt": (),
    "record": _RECORDINGS,
    "recover": _RECORDINGS,
    "sam2": (*_NETWORK, "scipy"),
    "scenes": ("cv2", "PIL", "rich"),
    "segment": (*_NETWORK, "rich"),
    "track": (*_NETWORK, *_RECORDINGS, "av", "pycocotools", "scipy", "rich"),
    "train": (*_NETWORK, "rich", *_TOML, "tensorboard"),
}
"""The modules that a command cannot do without. What one file or option needs is said by what reads it."""


def require(command: str) -> None:
    """Ends the program with one line if something is missing that this command needs."""
    if lacking := [name for name in COMMANDS[command] if not _is_there(name)]:
        sys.exit(f"{command}: {how_to_install(*lacking)}")


def how_to_install(*modules: str) -> str:
    """What to say of modules that are missing."""
    names = [PACKAGES.get(module) or PACKAGES.get(top := module.split(".")[0], top) for module in modules]
    plain = ", ".join(name.split(">")[0] for name in names)
    quoted = " ".join(f"'{name}'" if ">" in name else name for name in names)
    return f"{plain} {'is' if len(names) == 1 else 'are'} not installed: {sys.executable} -m pip install {quoted}"


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # it was made by hand, and has no spec
        return True
