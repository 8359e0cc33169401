"""Starts the sam2 node, and with camera:=true a video file, a folder of images or a webcam as its camera.

ros2 launch sam2_ros sam2.launch.py image:=/camera/image_raw
ros2 launch sam2_ros sam2.launch.py camera:=true source:=clip.mp4 loop:=true
"""

import difflib
import os
from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

CONFIG = Path(__file__).parents[1] / "config"  # beside this folder, where it is installed and in the source
# Where Fast DDS looks for its profile: up to Jazzy, and from Kilted on.
FAST_DDS_PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"

ARGUMENTS = {
    "image": ("image", "topic of the camera's images"),
    "detections": ("detections", "topic of vision_msgs/Detection2DArray that become prompts"),
    "click": ("", "topic of geometry_msgs/PointStamped, clicks in a viewer; empty: <name>/click"),
    "namespace": ("", "namespace of the nodes"),
    "name": ("sam2", "name of the node, under which its topics and services stand"),
    "params_file": (str(CONFIG / "sam2.yaml"), "file of parameters of the sam2 node"),
    "use_sim_time": ("false", "take the time from /clock, as when a bag is played with --clock"),
    "log_level": ("info", "how much the nodes say"),
    "camera": ("false", "start our camera node too, playing `source`"),
}

# Parameters of the nodes as arguments. Not given: what params_file says, or else the node's own default.
SAM2_PARAMETERS = {
    "autostart": (bool, "configure and activate at the start"),
    "model": (str, "default, sam2_hiera_tiny .. sam2_hiera_large, sam2.1_hiera_tiny .. sam2.1_hiera_large"),
    "checkpoint": (str, "file of weights: Meta's .pt, a .safetensors, or a Hugging Face folder"),
    "image_size": (int, "the network sees about as many pixels as this square, a multiple of 32; 0: the model's own"),
    "image_aspect": (str, "of what the network sees, as in 16:9 or 1280x720; image: that of the images"),
    "device": (str, "cpu, cuda, cuda:1 ..."),
    "dtype": (str, "auto, float32, bfloat16 or float16"),
    "accelerate": (str, "auto, off, graphs (CUDA graphs, on a GPU) or compile: of what is done for every image"),
    "threads": (int, "CPU threads of the network; 0: chosen"),
    "image_transport": (str, "raw or compressed"),
    "range_16bit": (str, "of 16-bit images, what becomes black and white: auto, full, or MIN..MAX as in 7600..8000"),
    "max_image_pixels": (int, "larger images are skipped"),
    "encode_ahead": (bool, "begin with the next image while objects are looked for in this one"),
    "max_objects": (int, "how many objects can be tracked at once"),
    "history": (int, "how many images are kept for prompts that come late"),
    "prompted_memories": (int, "how many prompted images of an object are remembered, 2 or more"),
    "non_overlap_masks": (bool, "each pixel belongs to one object at most"),
    "box_min_part": (float, "parts of a mask smaller than this share of its largest part don't count for its box"),
    "keep_all": (bool, "process every image in order, for bags, instead of the newest"),
    "queue_size": (int, "with keep_all: how many images may wait"),
    "time_jump": (str, "forget or keep: what becomes of the objects when stamps jump back"),
    "prompt_timeout": (float, "seconds that a prompt waits for its image"),
    "detection_min_score": (float, "detections with a lower score are ignored"),
    "detection_max_overlap": (float, "IoU with a tracked object above which a detection is that object"),
    "detection_forget_after": (float, "seconds after which detected objects that are away are removed; 0: never"),
}
CAMERA_PARAMETERS = {
    "source": (str, "camera: video file, folder of images, number or device of a webcam, or rtsp:// address"),
    "rate": (float, "camera: images per second; 0: the file's own"),
    "loop": (bool, "camera: begin again at the end"),
    "frame_id": (str, "camera: frame_id of its images"),
}


def typed(name: str, text: str, kind: type) -> object:
    """The value of an argument. Raises RuntimeError, which names the argument."""
    try:
        return {"true": True, "false": False, "1": True, "0": False}[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise RuntimeError(f"{name}:={text} cannot be: it must be {wanted}") from None


def given(context: LaunchContext, parameters: dict[str, tuple[type, str]]) -> dict[str, ParameterValue]:
    """Those parameters that the user has given as arguments."""
    found = {name: (context.launch_configurations[name], kind) for name, (kind, _) in parameters.items()}
    return {
        name: ParameterValue(typed(name, text, kind), value_type=kind) for name, (text, kind) in found.items() if text
    }


def misspelt(context: LaunchContext) -> list[LogInfo]:
    """Remarks on what stands on the command line and is nearly one of our arguments: launch itself says nothing."""
    ours = [*ARGUMENTS, *SAM2_PARAMETERS, *CAMERA_PARAMETERS]
    names = [argument.split(":=")[0] for argument in context.argv if ":=" in argument]
    near = {name: difflib.get_close_matches(name, ours, n=1, cutoff=0.8) for name in names if name not in ours}
    return [
        LogInfo(msg=f"sam2.launch.py has no argument {name!r}; did you mean {found[0]!r}?")
        for name, found in near.items()
        if found
    ]


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    arguments = context.launch_configurations
    name, image = arguments["name"], arguments["image"]
    # Without ours, Fast DDS loses most images of 640x480 and more. Somebody who has a profile knows what they do.
    has_profile = any(variable in os.environ for variable in FAST_DDS_PROFILE)
    profile = str(CONFIG / "fastdds.xml")
    if not Path(arguments["params_file"]).is_file():
        raise RuntimeError(f"params_file:={arguments['params_file']}: there is no such file")
    common = {
        "package": "sam2_ros",
        "namespace": arguments["namespace"],
        "output": "screen",
        "additional_env": {} if has_profile else dict.fromkeys(FAST_DDS_PROFILE, profile),
        "ros_arguments": ["--log-level", arguments["log_level"]],
    }
    sam2 = Node(
        executable="sam2",
        name=name,
        parameters=[
            ParameterFile(arguments["params_file"]),
            given(context, SAM2_PARAMETERS),
            {"use_sim_time": typed("use_sim_time", arguments["use_sim_time"], bool)},
        ],
        remappings=[
            ("image", image),
            ("image_mouse_left", f"{image}_mouse_left"),
            ("detections", arguments["detections"]),
            *([("~/click", arguments["click"])] if arguments["click"] else []),
        ],
        **common,
    )
    started = [*misspelt(context), sam2]
    if not typed("camera", arguments["camera"], bool):
        return started
    if not arguments["source"]:
        raise RuntimeError("camera:=true needs source:= a video file, a folder of images, or the number of a webcam")
    camera = Node(
        executable="camera",
        name="camera",
        parameters=[given(context, CAMERA_PARAMETERS)],
        remappings=[("image", image), ("image/compressed", f"{image}/compressed"), ("masklets", f"{name}/masklets")],
        **common,
    )
    return [*started, camera]


def generate_launch_description() -> LaunchDescription:
    choices = {"log_level": ["debug", "info", "warn", "error", "fatal"]}
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description, choices=choices.get(name))
        for name, (default, description) in ARGUMENTS.items()
    ]
    declared += [
        DeclareLaunchArgument(name, default_value="", description=f"{description}. Empty: as in params_file")
        for name, (_, description) in SAM2_PARAMETERS.items()
    ]
    declared += [
        DeclareLaunchArgument(name, default_value="", description=description)
        for name, (_, description) in CAMERA_PARAMETERS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=nodes)])
