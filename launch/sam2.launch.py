"""Starts the sam2 node, and with camera:=true a video file, a folder of images or a webcam as its camera.

ros2 launch sam2_ros sam2.launch.py image:=/camera/image_raw
ros2 launch sam2_ros sam2.launch.py camera:=true source:=clip.mp4 loop:=true
"""

import os

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue
from launch_ros.substitutions import FindPackageShare

CONFIG = PathJoinSubstitution([FindPackageShare("sam2_ros"), "config"])
# Where Fast DDS looks for its profile: up to Jazzy, and from Kilted on.
FAST_DDS_PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"

ARGUMENTS = {
    "image": ("image", "topic of the camera's images"),
    "detections": ("detections", "topic of vision_msgs/Detection2DArray that become prompts"),
    "click": ("", "topic of geometry_msgs/PointStamped, clicks in a viewer; empty: <name>/click"),
    "namespace": ("", "namespace of the nodes"),
    "name": ("sam2", "name of the node, under which its topics and services stand"),
    "params_file": (PathJoinSubstitution([CONFIG, "sam2.yaml"]), "file of parameters of the sam2 node"),
    "use_sim_time": ("false", "take the time from /clock, as when a bag is played with --clock"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
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


def given(context: LaunchContext, parameters: dict[str, tuple[type, str]]) -> dict[str, ParameterValue]:
    """Those parameters that the user has given as arguments."""
    return {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, (kind, _) in parameters.items()
        if context.launch_configurations[name]
    }


def nodes(context: LaunchContext) -> list[Node]:
    arguments = context.launch_configurations
    name, image = arguments["name"], arguments["image"]
    # Without ours, Fast DDS loses most images of 640x480 and more. Somebody who has a profile knows what they do.
    has_profile = any(variable in os.environ for variable in FAST_DDS_PROFILE)
    profile = PathJoinSubstitution([CONFIG, "fastdds.xml"])
    common = {
        "package": "sam2_ros",
        "namespace": arguments["namespace"],
        "output": "screen",
        "additional_env": {} if has_profile else dict.fromkeys(FAST_DDS_PROFILE, profile),
        "ros_arguments": ["--log-level", arguments["log_level"]],
    }
    time = {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}
    sam2 = Node(
        executable="sam2",
        name=name,
        parameters=[ParameterFile(arguments["params_file"]), given(context, SAM2_PARAMETERS), time],
        remappings=[
            ("image", image),
            ("image_mouse_left", f"{image}_mouse_left"),
            ("detections", arguments["detections"]),
            *([("~/click", arguments["click"])] if arguments["click"] else []),
        ],
        **common,
    )
    if arguments["camera"].lower() not in ("true", "1"):
        return [sam2]
    if not arguments["source"]:
        raise RuntimeError("camera:=true needs source:= a video file, a folder of images, or the number of a webcam")
    camera = Node(
        executable="camera",
        name="camera",
        parameters=[given(context, CAMERA_PARAMETERS)],
        remappings=[("image", image), ("image/compressed", f"{image}/compressed"), ("masklets", f"{name}/masklets")],
        **common,
    )
    return [sam2, camera]


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
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
