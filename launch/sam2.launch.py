"""Starts the sam2 node, and with camera:=true a video file, a folder of images or a webcam as its camera.

ros2 launch sam2_ros sam2.launch.py image:=/camera/image_raw
ros2 launch sam2_ros sam2.launch.py camera:=true source:=clip.mp4 loop:=true
ros2 launch sam2_ros sam2.launch.py cameras:=front,rear image:=/{camera}/image_raw
ros2 launch sam2_ros sam2.launch.py image:=/camera/image_raw viewer:=foxglove respawn:=true
ros2 launch sam2_ros sam2.launch.py image:=/camera/image_raw desk:=true
"""

import difflib
import os
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

from sam2_ros.ros.parameters import CAMERA_PARAMETERS, DESK_PARAMETERS, SAM2_PARAMETERS, ParameterSpec, Value
from sam2_ros.ros.viewers import with_topics

CONFIG = Path(__file__).parents[1] / "config"  # beside this folder, where it is installed and in the source
# Environment variables with the path of Fast DDS's profile: up to Jazzy, and from Kilted on.
FAST_DDS_PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"
# Images that the sam2 node keeps for the desk: five seconds at 20 a second, to pause and look before clicking.
DESK_HISTORY = 100

ARGUMENTS = {
    "image": ("image", "topic of the camera's images; with cameras:=front,rear, {camera} stands for the name of each"),
    "detections": ("detections", "topic of vision_msgs/Detection2DArray that become prompts; {camera} as in image"),
    "click": ("", "topic of geometry_msgs/PointStamped, clicks in a viewer; {camera} as in image; empty: <name>/click"),
    "depth": ("depth", "topic of depth images that are registered to the camera's images; {camera} as in image"),
    "camera_info": ("", "topic of the camera's CameraInfo; {camera} as in image; empty: camera_info beside the images"),
    "namespace": ("", "namespace of the nodes"),
    "name": ("sam2", "name of the node, with which its topics and services begin"),
    "params_file": (str(CONFIG / "sam2.yaml"), "file of parameters of the sam2 node"),
    "use_sim_time": ("false", "take the time from /clock, as when a bag is played with --clock"),
    "log_level": ("info", "lowest severity that the nodes log"),
    "camera": ("false", "also start the camera node, playing `source`"),
    "desk": ("false", "also start the desk, a page in the browser, http://127.0.0.1:8642; history: 100"),
    "viewer": ("", "also start a viewer with our configuration: rviz, or foxglove (its bridge; prints the layout)"),
    "fixed_frame": ("base_link", "frame in which viewer:=rviz draws points and boxes"),
    "respawn": ("false", "start the sam2 node again when it dies"),
    "respawn_delay": ("2.0", "seconds until then"),
}
CHOICES = {"log_level": ["debug", "info", "warn", "error", "fatal"], "viewer": ["", "rviz", "foxglove"]}

# Parameters of the camera that are arguments. All of the sam2 node's are.
CAMERA_ARGUMENTS = [spec for spec in CAMERA_PARAMETERS if spec.name in ("source", "rate", "loop", "frame_id")]

DESK_ARGUMENTS = [spec for spec in DESK_PARAMETERS if spec.name in ("host", "port")]


def flag(context: LaunchContext, name: str) -> bool:
    """The value of a boolean argument. Raises RuntimeError, which names the argument."""
    return parsed(ParameterSpec(name, False, ""), context.launch_configurations[name])


def camera_names(context: LaunchContext) -> list[str]:
    """Names of the cameras; [""] is the only camera of a node, which has no name."""
    text = context.launch_configurations["cameras"]
    names = parsed(next(spec for spec in SAM2_PARAMETERS if spec.name == "cameras"), text)
    return list(names) or [""]


def remappings(context: LaunchContext) -> list[tuple[str, str]]:
    """Where the sam2 node's inputs come from, for each camera.

    Raises RuntimeError if several cameras would have the same topic.
    """
    arguments, cameras = context.launch_configurations, camera_names(context)
    remapped = []
    for camera in cameras:
        begin = f"{camera}/" if camera else ""
        topics = {}
        for name in ("image", "detections", "click", "depth", "camera_info"):
            topic = arguments[name]
            if topic and topic == ARGUMENTS[name][0]:
                topic = f"{begin}{topic}"
            elif topic and len(cameras) > 1 and "{camera}" not in topic:
                raise RuntimeError(f"{name}:={topic} is one topic for several cameras; write it with {{camera}}")
            topics[name] = topic.replace("{camera}", camera)
        remapped += [
            (f"{begin}image", topics["image"]),
            (f"{begin}image_mouse_left", f"{topics['image']}_mouse_left"),
            (f"{begin}detections", topics["detections"]),
            *([(f"~/{begin}click", topics["click"])] if topics["click"] else []),
            (f"{begin}depth", topics["depth"]),
            (f"{begin}camera_info", topics["camera_info"] or beside(topics["image"], "camera_info")),
        ]
    return remapped


def beside(topic: str, name: str) -> str:
    """The name of a topic in the namespace of another one, as image_transport expects them."""
    return "/".join([*topic.split("/")[:-1], name])


def parsed(spec: ParameterSpec, text: str) -> Value:
    """The value of an argument. Raises RuntimeError, which names the argument and what it accepts."""
    try:
        return spec.parse(text)
    except ValueError as error:
        raise RuntimeError(str(error)) from None


def parameters_of(context: LaunchContext, specs: Iterable[ParameterSpec]) -> dict[str, ParameterValue]:
    """The parameters that were passed as arguments, by name."""
    texts = {spec: text for spec in specs if (text := context.launch_configurations[spec.name])}
    return {spec.name: typed(parsed(spec, text)) for spec, text in texts.items()}


def kept_for_desk(context: LaunchContext) -> dict[str, ParameterValue]:
    """The history of a node with a desk, unless a file of the user's own says it."""
    own_file = context.launch_configurations["params_file"] != ARGUMENTS["params_file"][0]
    return {"history": typed(DESK_HISTORY)} if flag(context, "desk") and not own_file else {}


def typed(value: Value) -> ParameterValue:
    """A parameter that launch passes on with its type."""
    if isinstance(value, tuple):
        return ParameterValue(list(value), value_type=list[str])
    return ParameterValue(value, value_type=type(value))


def misspelling_warnings(context: LaunchContext) -> list[LogInfo]:
    """Warnings about arguments with similar names, which launch itself ignores."""
    known = [*ARGUMENTS, *(spec.name for spec in (*SAM2_PARAMETERS, *CAMERA_ARGUMENTS, *DESK_ARGUMENTS))]
    names = [argument.split(":=")[0] for argument in context.argv if ":=" in argument]
    suggestions = {name: difflib.get_close_matches(name, known, n=1, cutoff=0.8) for name in names if name not in known}
    return [
        LogInfo(msg=f"sam2.launch.py has no argument {name!r}; did you mean {matches[0]!r}?")
        for name, matches in suggestions.items()
        if matches
    ]


def viewer(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The viewer, with the topics of the first camera in its configuration."""
    arguments = context.launch_configurations
    if not arguments["viewer"]:
        return []
    namespace = arguments["namespace"].strip("/")
    begin = f"/{namespace}" if namespace else ""
    node = "/".join(filter(None, [begin or "/", arguments["name"], camera_names(context)[0]])).replace("//", "/")
    _, image = remappings(context)[0]
    image = image if image.startswith("/") else f"{begin}/{image}"
    time = {"use_sim_time": flag(context, "use_sim_time")}
    if arguments["viewer"] == "rviz":
        require("rviz2", "viewer:=rviz")
        config = viewer_config("sam2.rviz", node, image)
        click = f"to click, `ros2 run rqt_image_view rqt_image_view {node}/overlay` and let it publish mouse clicks"
        return [
            LogInfo(msg=f"RViz shows {config}. Its images cannot be clicked; {click}"),
            Node(
                package="rviz2",
                executable="rviz2",
                name="rviz",
                arguments=["-d", str(config), "-f", arguments["fixed_frame"]],
                parameters=[time],
            ),
        ]
    require("foxglove_bridge", "viewer:=foxglove")
    layout = viewer_config("sam2_foxglove.json", node, image)
    return [
        LogInfo(msg=f"Open ws://<this machine>:8765 in Foxglove, and import the layout {layout}"),
        Node(package="foxglove_bridge", executable="foxglove_bridge", name="foxglove_bridge", parameters=[time]),
    ]


def viewer_config(name: str, node: str, image: str) -> Path:
    """A file from config/, or a copy of it with these topics."""
    original = CONFIG / name
    text = with_topics(original, node, image)
    if text == original.read_text():
        return original
    copy = Path(tempfile.mkdtemp(prefix="sam2_ros_"), name)
    copy.write_text(text)
    return copy


def require(package: str, argument: str) -> None:
    """Raises RuntimeError, which says how to install a package, if it is missing."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        name = f"ros-{os.environ.get('ROS_DISTRO', 'jazzy')}-{package.replace('_', '-')}"
        raise RuntimeError(f"{argument} needs {package}, which is not installed: sudo apt install {name}") from None


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    arguments = context.launch_configurations
    name, remapped = arguments["name"], remappings(context)
    # Without our profile, Fast DDS loses most images of 640x480 and more. A profile of the user takes precedence.
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
            {**kept_for_desk(context), **parameters_of(context, SAM2_PARAMETERS)},
            {"use_sim_time": flag(context, "use_sim_time")},
        ],
        remappings=remapped,
        respawn=flag(context, "respawn"),
        respawn_delay=parsed(ParameterSpec("respawn_delay", 2.0, "", range=(0.0, 3600.0)), arguments["respawn_delay"]),
        **common,
    )
    actions = [*misspelling_warnings(context), sam2, *viewer(context)]
    if flag(context, "desk"):
        # One for all cameras, which it finds by itself; those of other launch files, too.
        actions.append(
            Node(
                executable="desk",
                name="desk",
                parameters=[
                    ParameterFile(arguments["params_file"]),
                    parameters_of(context, DESK_ARGUMENTS),
                    {"use_sim_time": flag(context, "use_sim_time")},
                ],
                **common,
            )
        )
    if not flag(context, "camera"):
        return actions
    if len(camera_names(context)) > 1:
        raise RuntimeError("camera:=true plays one camera; start further ones with `ros2 run sam2_ros camera`")
    if not arguments["source"]:
        raise RuntimeError("camera:=true needs source:= a video file, a folder of images, or the number of a webcam")
    _, image = remapped[0]
    masklets = "/".join(filter(None, [name, *camera_names(context), "masklets"]))
    camera = Node(
        executable="camera",
        name="camera",
        parameters=[parameters_of(context, CAMERA_ARGUMENTS)],
        remappings=[("image", image), ("image/compressed", f"{image}/compressed"), ("masklets", masklets)],
        **common,
    )
    return [*actions, camera]


def declared(without: Collection[str] = ()) -> list[DeclareLaunchArgument]:
    """All arguments but some, by name: those that another launch file has defaults of its own for."""
    described = {**ARGUMENTS}
    described |= {spec.name: ("", f"{spec.text} Not given: as in params_file.") for spec in SAM2_PARAMETERS}
    described |= {spec.name: ("", f"Of the camera: {spec.text}") for spec in CAMERA_ARGUMENTS}
    described |= {spec.name: ("", f"Of the desk: {spec.text}") for spec in DESK_ARGUMENTS}
    return [
        DeclareLaunchArgument(name, default_value=default, description=text, choices=CHOICES.get(name))
        for name, (default, text) in described.items()
        if name not in without
    ]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declared(), OpaqueFunction(function=nodes)])
