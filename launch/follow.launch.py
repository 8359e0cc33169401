"""Tracks what a text names: an open-vocabulary detector, the sam2 node, and with goals:=true goals for nav2.

ros2 launch sam2_ros follow.launch.py text:="red mug" image:=/camera/color/image_raw
ros2 launch sam2_ros follow.launch.py detector_package:="" detections:=/detections image:=/camera/color/image_raw

The detector is not part of this package. The default is NVIDIA's ros2_nanoowl; any other that takes a text as
std_msgs/String and publishes vision_msgs/Detection2DArray works the same way. Every argument of sam2.launch.py works,
too. See docs/robot.md.
"""

import json
from pathlib import Path

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, ExecuteProcess, LogInfo, OpaqueFunction
from launch.launch_description_sources import load_python_launch_file_as_module
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from sam2_ros.ros.parameters import FOLLOW_PARAMETERS, ParameterSpec

SAM2 = load_python_launch_file_as_module(str(Path(__file__).parent / "sam2.launch.py"))
ARGUMENTS = {
    "text": ("", "what to track, as in text:='red mug'"),
    "image": ("image", "topic of the camera's images"),
    "detections": ("detections", "topic of the detector's vision_msgs/Detection2DArray"),
    "detection_min_score": ("0.0", "detections with a lower score are ignored; ros2_nanoowl gives none a score"),
    "detector_package": ("ros2_nanoowl", "package of the detector; empty: it already runs, and knows the text"),
    "detector_executable": ("nano_owl_py", "executable of the detector"),
    "detector_image": ("input_image", "the detector's own name of its images"),
    "detector_text": ("input_query", "the detector's own name of its text, std_msgs/String"),
    "detector_detections": ("output_detections", "the detector's own name of its detections"),
    "detector_parameters": ("{thresholds: 0.1}", "parameters of the detector, in YAML"),
    "goals": (
        "false",
        "also start the follow node, which publishes goals for nav2; needs depth:=, too",
    ),
}


def detector(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    arguments = context.launch_configurations
    if arguments["cameras"]:
        raise RuntimeError("follow.launch.py is for one camera: give image:=TOPIC in place of cameras:=")
    package = arguments["detector_package"]
    if not package:
        return [LogInfo(msg=f"Waiting for detections on {arguments['detections']}")]
    if not (text := arguments["text"]):
        raise RuntimeError("text:= what to track, as in text:='red mug'")
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        raise RuntimeError(
            f"detector_package:={package}: that package is not installed, and sam2_ros has no detector of its own."
            " Build it in your workspace (ros2_nanoowl: https://github.com/NVIDIA-AI-IOT/ROS2-NanoOWL), name another,"
            " or give detector_package:='' detections:=TOPIC for one that already runs"
        ) from None
    written = f"detector_parameters:={arguments['detector_parameters']}"
    try:
        parameters = yaml.safe_load(arguments["detector_parameters"] or "{}")
    except yaml.YAMLError:
        raise RuntimeError(f"{written} is no YAML: it must be as {{thresholds: 0.1}}") from None
    if not isinstance(parameters, dict):
        raise RuntimeError(f"{written} is no mapping: it must be as {{thresholds: 0.1}}")
    data = json.dumps({"data": text})  # YAML
    text_topic = "/".join(["", *filter(None, [arguments["namespace"].strip("/"), "detector_text"])])
    return [
        Node(
            package=package,
            executable=arguments["detector_executable"],
            namespace=arguments["namespace"],
            output="screen",
            parameters=[parameters],
            remappings=[
                (arguments["detector_image"], arguments["image"]),
                (arguments["detector_text"], text_topic),
                (arguments["detector_detections"], arguments["detections"]),
            ],
        ),
        ExecuteProcess(
            cmd=["ros2", "topic", "pub", "--once", "-w", "1", text_topic, "std_msgs/msg/String", data],
            name="text",
            output="screen",
        ),
    ]


def goals(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    arguments = context.launch_configurations
    try:
        if not ParameterSpec("goals", False, "").parse(arguments["goals"]):
            return []
        values = {spec: spec.parse(text) for spec in FOLLOW_PARAMETERS if (text := arguments[spec.name])}
    except ValueError as error:
        raise RuntimeError(str(error)) from None
    return [
        Node(
            package="sam2_ros",
            executable="follow",
            name="follow",
            namespace=arguments["namespace"],
            output="screen",
            parameters=[
                {spec.name: ParameterValue(value, value_type=type(spec.default)) for spec, value in values.items()},
                {"use_sim_time": arguments["use_sim_time"].lower() in ("true", "1")},
            ],
            remappings=[("sam2/objects_3d", f"{arguments['name']}/objects_3d")],
        )
    ]


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    # All in one: if an argument is refused, nothing has been started, which launch would leave running.
    return [*detector(context), *goals(context), *SAM2.nodes(context)]


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    declared += [
        DeclareLaunchArgument(spec.name, default_value="", description=f"Of the follow node: {spec.text}")
        for spec in FOLLOW_PARAMETERS
    ]
    return LaunchDescription([*declared, *SAM2.declared(without=ARGUMENTS), OpaqueFunction(function=nodes)])
