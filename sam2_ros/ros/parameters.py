"""The parameters of the `sam2` node."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.parameter import Parameter

from sam2_ros.data.image_message import MAX_PIXELS
from sam2_ros.data.value_range import parse_range
from sam2_ros.model.config import CONFIGS, PATCH
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.system.device import device_of
from sam2_ros.tracking.masklet import BOX_MIN_PART

if TYPE_CHECKING:
    from sam2_ros.ros.node import Sam2Node

# Taken up when the node is configured. name: (default, description, range or choices)
_CONFIGURE: dict[str, tuple[object, str, tuple | None]] = {
    "model": (
        "",
        "Which network: default, sam2_hiera_{tiny,small,base_plus,large} or sam2.1_hiera_{...}."
        " Empty: the one that the checkpoint was made for, or without one the small default model.",
        None,
    ),
    "checkpoint": (
        "",
        "File of weights: Meta's .pt, a .safetensors, or a Hugging Face folder; or a folder that sam2_ros.deployment"
        " has exported, for ONNX Runtime on a CPU."
        " Empty: the weights that belong to the model; Meta's are fetched once.",
        None,
    ),
    "image_size": (
        0,
        "The network resizes images to about as many pixels as a square with this side has, a multiple of 32."
        " Fewer are faster, more show smaller things. 0: the model's own.",
        (0, 4096),
    ),
    "image_aspect": (
        "",
        "Width to height of what images are resized to, as in 16:9 or 1280x720; or image: as each of them has it."
        " Empty: the model's own, which is image for the small default model and a square for Meta's.",
        None,
    ),
    "device": ("", "Where the network runs: cpu, cuda, cuda:1 ... Empty: the first GPU if there is one.", None),
    "dtype": (
        "auto",
        "What the network computes in. auto: on a GPU float16 with the default model and bfloat16 with others, "
        "float32 elsewhere.",
        ("auto", "float32", "bfloat16", "float16"),
    ),
    "accelerate": (True, "Kernels and CUDA graphs. false: the plain network of the paper, for comparison.", None),
    "threads": (
        0,
        "CPU threads that one operation of the network uses. 0: one per core, but one is left for the rest of the"
        " robot where there are more than two; or, without kernels for this CPU, one for every other core where images"
        " up to 512 pixels are encoded ahead.",
        (0, 1024),
    ),
    "encode_ahead": (
        True,
        "Begin with the next image, if it is there already, while objects are still looked for in this one: more images"
        " per second where there are two cores or more. false: each image is the newest there is when its turn comes.",
        None,
    ),
    "image_transport": (
        "raw",
        "raw listens to sensor_msgs/Image on the image topic,"
        " compressed to sensor_msgs/CompressedImage on <image topic>/compressed.",
        ("raw", "compressed"),
    ),
    "range_16bit": (
        "auto",
        "Which values of 16-bit images (mono16, rgb16, bayer_rggb16 ..., PNG) become black and white: MIN..MAX as in"
        " 7600..8000, or full for 0..65535. auto: the values that the images have, which follows them slowly; images"
        " that use all 16 bits are left as they are.",
        None,
    ),
    "max_image_pixels": (
        MAX_PIXELS,
        "Larger images are skipped, compressed ones before they are decoded.",
        (1, 2**27),
    ),
    "max_objects": (16, "How many objects can be tracked at once; a prompt for one more is refused.", (1, 1024)),
    "history": (16, "How many images are kept, so that a prompt that comes late is applied to its own.", (1, 1024)),
    "prompted_memories": (
        4,
        "How many prompted images of an object are remembered: the first, and the latest others. Each costs time in"
        " every image, for as long as the object is tracked. Meta's predictor remembers all of them.",
        (2, 64),
    ),
    "non_overlap_masks": (
        False,
        "true: each pixel belongs to one object at most, to the one that is most certain of it. false: masks may"
        " overlap, as those of a cup and its handle do.",
        None,
    ),
    "box_min_part": (
        BOX_MIN_PART,
        "Parts of a mask that are smaller than this share of its largest part do not count for its box, so that stray"
        " pixels do not widen it. The mask stays as it is. 0: all parts count.",
        (0.0, 1.0),
    ),
    "keep_all": (
        False,
        "false: when images come faster than they are processed, only the newest counts. true: all are processed in"
        " order, for bags. Cameras are heard best-effort; to lose nothing on the way either, make both ends reliable"
        " (qos_overrides.<image topic>.subscription.reliability).",
        None,
    ),
    "queue_size": (
        100,
        "With keep_all: how many images may wait. More than these are lost, with an error.",
        (2, 100_000),
    ),
    "time_jump": (
        "forget",
        "What becomes of the tracked objects when stamps jump back by more than 2 s, as when a bag is looped or a"
        " simulation starts again. forget: they are forgotten, and IDs start again at 1. keep: they stay. One odd stamp"
        " is no jump, and a clock that is put back by less keeps what is tracked.",
        ("forget", "keep"),
    ),
}

# Taken up at once.
_LIVE: dict[str, tuple[object, str, tuple | None]] = {
    "prompt_timeout": (
        10.0,
        "Seconds that a prompt waits for an image with its stamp or a newer one, before it is refused.",
        (0.0, 3600.0),
    ),
    "detection_min_score": (0.5, "Detections with a lower score are ignored.", (0.0, 1.0)),
    "detection_max_overlap": (
        0.3,
        "A detection becomes a new object unless its box overlaps that of a tracked object by more than this IoU.",
        (0.0, 1.0),
    ),
    "detection_forget_after": (
        0.0,
        "Seconds after which an object that a detector has found, that nobody else has prompted and that can't be seen"
        " is removed, so that there is room for others. 0: never.",
        (0.0, 1e6),
    ),
}


def declare(node: Sam2Node) -> None:
    """Declares all parameters, and sees to it that they can only be set when and to what makes sense."""
    node.declare_parameter(
        "autostart",
        True,
        ParameterDescriptor(
            description="Configure and activate at the start. false: wait for a lifecycle manager.", read_only=True
        ),
    )
    for name, (default, description, limits) in {**_CONFIGURE, **_LIVE}.items():
        node.declare_parameter(name, default, _descriptor(default, description, limits))
        if refusal := _refusal(name, node.get_parameter(name).value):
            raise ValueError(refusal)

    def check(parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name in _CONFIGURE and node.is_configured:
                name = node.get_fully_qualified_name()
                reason = (
                    f"{parameter.name} is taken up in configure, and the node is configured already:"
                    f" `ros2 lifecycle set {name} deactivate`, `... cleanup`, set it, `... configure`, `... activate`"
                )
                return SetParametersResult(successful=False, reason=reason)
            if refusal := _refusal(parameter.name, parameter.value):
                return SetParametersResult(successful=False, reason=refusal)
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(check)


def _descriptor(default: object, description: str, limits: tuple | None) -> ParameterDescriptor:
    # Types are looked at below: 5 is as good as 5.0, and what is wrong with others should be said with the name.
    descriptor = ParameterDescriptor(description=description, dynamic_typing=True)
    if limits is None:
        return descriptor
    if isinstance(default, str):
        descriptor.additional_constraints = "one of: " + ", ".join(limits)
    elif isinstance(default, float):
        descriptor.floating_point_range = [FloatingPointRange(from_value=limits[0], to_value=limits[1])]
    else:
        descriptor.integer_range = [IntegerRange(from_value=limits[0], to_value=limits[1], step=1)]
    return descriptor


def _refusal(name: str, value: object) -> str | None:
    """Why a parameter cannot have a value, in one line; None: it can."""
    if name not in (known := {**_CONFIGURE, **_LIVE}):
        return None
    default, _, limits = known[name]
    kinds, kind = {
        bool: ((bool,), "true or false"),
        int: ((int,), "a whole number"),
        float: ((int, float), "a number"),
        str: ((str,), "a text"),
    }[type(default)]
    numbers = f" from {limits[0]:g} to {limits[1]:g}" if limits and not isinstance(default, str) else ""
    if type(value) not in kinds or (numbers and not limits[0] <= value <= limits[1]):
        return f"{name} is {excerpt(repr(value), 80)}; it must be {kind}{numbers}"
    if isinstance(default, str) and limits is not None and value not in limits:
        return f"{name} is {excerpt(repr(value), 80)}; it must be one of: {', '.join(limits)}"
    try:
        _CHECKS.get(name, lambda _: None)(value)
    except ValueError as error:
        return f"{name} is {excerpt(repr(value), 80)}: {error}"
    return None


def _check_model(name: str) -> None:
    if "/" in name or name.endswith((".pt", ".pth", ".safetensors")):
        raise ValueError("that looks like weights; give them as checkpoint, and leave model empty")
    if name and name not in CONFIGS:
        near = difflib.get_close_matches(name, CONFIGS, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"there is no such model; {meant}There are {', '.join(CONFIGS)}")


def _check_checkpoint(file: str) -> None:
    if file and not Path(file).expanduser().exists():
        where = "" if Path(file).expanduser().is_absolute() else f" in {Path.cwd()}, where the node was started"
        raise ValueError(f"there is no such file or folder{where}")


def _check_image_size(side: int) -> None:
    if side % PATCH:
        below = side // PATCH * PATCH
        nearest = " or ".join(str(near) for near in (below, below + PATCH) if near)
        raise ValueError(f"it must be a multiple of {PATCH}, such as {nearest}; 0 is the model's own")


def _check_image_aspect(aspect: str) -> None:
    CONFIGS["default"].at(aspect=aspect or None)


# What only its own kind knows; each raises ValueError.
_CHECKS: dict[str, Callable[[Any], None]] = {
    "model": _check_model,
    "checkpoint": _check_checkpoint,
    "image_size": _check_image_size,
    "image_aspect": _check_image_aspect,
    "device": device_of,
    "range_16bit": parse_range,
}
