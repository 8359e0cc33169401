"""The launch file: its arguments are the nodes' parameters, and reach them."""

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml
from launch_files import Described, installed, loaded, loaded_over_stand_ins

from sam2_ros.ros.parameters import CAMERA_PARAMETERS, SAM2_PARAMETERS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("arguments", "executables"),
    [
        ({}, ["sam2"]),
        ({"camera": "true", "source": "clip.mp4", "max_objects": "3"}, ["sam2", "camera"]),
        ({"desk": "true", "port": "0"}, ["sam2", "desk"]),
    ],
)
def test_starts_the_nodes(arguments: dict[str, str], executables: list[str]) -> None:
    pytest.importorskip("launch_ros", reason="ROS's launch is not installed")
    import launch

    module = loaded("sam2.launch.py")
    context = launch.LaunchContext()
    context.launch_configurations.update(arguments)
    *declarations, start = module.generate_launch_description().entities
    for declaration in declarations:
        declaration.execute(context)
    assert [node.node_executable for node in start.execute(context)] == executables


@pytest.fixture
def launch_file(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = loaded_over_stand_ins("sam2.launch.py", monkeypatch)
    for variable in module.FAST_DDS_PROFILE:  # a profile that is there already is not replaced
        monkeypatch.delenv(variable, raising=False)
    return module


def started(launch_file: ModuleType, *arguments: str) -> list[Described]:
    """The actions that the launch file starts with these arguments."""
    *declared, start = launch_file.generate_launch_description().arguments[0]
    values = {entry.arguments[0]: entry.named["default_value"] for entry in declared}
    values |= dict(argument.split(":=") for argument in arguments)
    context = SimpleNamespace(launch_configurations=values, argv=list(arguments))
    return start.named["function"](context)


def test_every_parameter_is_an_argument_with_its_text(launch_file: ModuleType) -> None:
    *declared, _ = launch_file.generate_launch_description().arguments[0]
    texts = {entry.arguments[0]: entry.named["description"] for entry in declared}
    assert len(texts) == len(declared)
    camera = [spec for spec in CAMERA_PARAMETERS if spec.name not in ("wait_for_masklets", "wait_for_subscribers")]
    assert all(spec.text in texts[spec.name] for spec in (*SAM2_PARAMETERS, *camera))


def test_show_args_shows_plain_defaults(launch_file: ModuleType) -> None:
    """`ros2 launch --show-args` would print a substitution as PathJoin('PathJoin(..."""
    *declared, _ = launch_file.generate_launch_description().arguments[0]
    defaults = {entry.arguments[0]: entry.named["default_value"] for entry in declared}
    assert all(isinstance(default, str) for default in defaults.values())
    assert Path(defaults["params_file"]).samefile(ROOT / "config/sam2.yaml")


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("max_objects:=lots", "a whole number"),
        ("max_objects:=2.5", "a whole number"),
        ("prompt_timeout:=5s", "a number"),
        ("keep_all:=maybe", "true or false"),
        ("camera:=yes", "true or false"),
        ("desk:=yes", "true or false"),
        ("accelerate:=graphs", "true .* or false"),
        ("use_sim_time:=on", "true or false"),
        ("respawn:=yes", "true or false"),
        ("respawn_delay:=soon", "a number"),
        ("params_file:=/no/file.yaml", "there is no such file"),
    ],
)
def test_invalid_argument_is_named(launch_file: ModuleType, argument: str, reason: str) -> None:
    with pytest.raises(RuntimeError, match=f"{argument}.*{reason}"):
        started(launch_file, argument)


def test_arguments_reach_the_node_with_their_types(launch_file: ModuleType) -> None:
    arguments = ("max_objects:=3", "prompt_timeout:=5", "keep_all:=True", "image_aspect:=16:9", "use_sim_time:=1")
    (sam2,) = started(launch_file, *arguments)
    parameters, time = sam2.named["parameters"][1:]
    values = {name: (value.arguments[0], value.named["value_type"]) for name, value in parameters.items()}
    assert values == {
        "max_objects": (3, int),
        "prompt_timeout": (5.0, float),
        "keep_all": (True, bool),
        "image_aspect": ("16:9", str),
    }
    assert time == {"use_sim_time": True}


@pytest.mark.parametrize("cameras", ["", "front,rear"])
def test_one_desk_for_all_cameras(launch_file: ModuleType, cameras: str) -> None:
    arguments = ("desk:=true", "host:=0.0.0.0", "port:=9000", "use_sim_time:=true", "namespace:=robot1")
    _, desk = started(launch_file, f"cameras:={cameras}", *arguments)
    assert (desk.named["executable"], desk.named["name"], desk.named["namespace"]) == ("desk", "desk", "robot1")
    _, parameters, time = desk.named["parameters"]
    assert {name: value.arguments[0] for name, value in parameters.items()} == {"host": "0.0.0.0", "port": 9000}
    assert parameters["port"].named["value_type"] is int and time == {"use_sim_time": True}
    assert "FASTDDS_DEFAULT_PROFILES_FILE" in desk.named["additional_env"], "large images"


def test_desk_without_arguments_has_its_defaults(launch_file: ModuleType) -> None:
    _, desk = started(launch_file, "desk:=true")
    file, parameters, _ = desk.named["parameters"]
    assert Path(file.arguments[0]).samefile(ROOT / "config/sam2.yaml") and parameters == {}


def test_node_keeps_more_images_for_a_desk(launch_file: ModuleType, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text((ROOT / "config/sam2.yaml").read_text())

    def history(*arguments: str) -> int | None:
        value = started(launch_file, *arguments)[0].named["parameters"][1].get("history")
        return None if value is None else value.arguments[0]

    assert history("desk:=true") == 100
    assert history("desk:=true", "history:=16") == 16
    assert history() is history("desk:=true", f"params_file:={own}") is None, "as in the file"


def test_misspelt_argument_is_logged(launch_file: ModuleType) -> None:
    remark, sam2 = started(launch_file, "max_object:=3", "robot_name:=rover")
    assert "no argument 'max_object'; did you mean 'max_objects'?" in remark.named["msg"]
    assert sam2.named["executable"] == "sam2"


def remapped(launch_file: ModuleType, *arguments: str) -> dict[str, str]:
    sam2, *_ = started(launch_file, *arguments)
    return dict(sam2.named["remappings"])


def test_several_cameras_have_topics_of_their_own(launch_file: ModuleType) -> None:
    (sam2,) = started(launch_file, "cameras:=front,rear", "image:=/{camera}/image_raw")
    value = sam2.named["parameters"][1]["cameras"]
    assert (value.arguments[0], value.named["value_type"]) == (["front", "rear"], list[str])
    topics = dict(sam2.named["remappings"])
    assert topics["front/image"] == "/front/image_raw" and topics["rear/image"] == "/rear/image_raw"
    assert topics["rear/image_mouse_left"] == "/rear/image_raw_mouse_left"
    assert topics["rear/detections"] == "rear/detections"
    assert topics["rear/depth"] == "rear/depth" and topics["front/camera_info"] == "/front/camera_info"


def test_depth_topics(launch_file: ModuleType) -> None:
    topics = remapped(launch_file, "depth:=/camera/depth", "camera_info:=/camera/info")
    assert topics["depth"] == "/camera/depth" and topics["camera_info"] == "/camera/info"


def test_cameras_as_a_yaml_list(launch_file: ModuleType) -> None:
    assert "left/image" in remapped(launch_file, "cameras:=['left', right]")


def test_one_named_camera(launch_file: ModuleType) -> None:
    assert remapped(launch_file, "cameras:=front")["front/image"] == "front/image"
    assert remapped(launch_file, "cameras:=front", "image:=/camera")["front/image"] == "/camera"
    _, camera = started(launch_file, "cameras:=front", "camera:=true", "source:=clip.mp4")
    assert dict(camera.named["remappings"]) == {
        "image": "front/image",
        "image/compressed": "front/image/compressed",
        "masklets": "sam2/front/masklets",
    }


def test_one_topic_for_several_cameras_is_refused(launch_file: ModuleType) -> None:
    with pytest.raises(RuntimeError, match=r"image:=/camera is one topic for several cameras.*\{camera\}"):
        started(launch_file, "cameras:=front,rear", "image:=/camera")


def test_node_is_started_again_if_asked_for(launch_file: ModuleType) -> None:
    (sam2,) = started(launch_file)
    assert sam2.named["respawn"] is False
    (sam2,) = started(launch_file, "respawn:=true", "respawn_delay:=0.5")
    assert (sam2.named["respawn"], sam2.named["respawn_delay"]) == (True, 0.5)


@pytest.mark.parametrize(("viewer", "package"), [("rviz", "rviz2"), ("foxglove", "foxglove_bridge")])
def test_missing_viewer_is_reported_with_its_package(
    launch_file: ModuleType, viewer: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, tmp_path)
    monkeypatch.setenv("ROS_DISTRO", "kilted")
    apt = f"sudo apt install ros-kilted-{package.replace('_', '-')}"
    with pytest.raises(RuntimeError, match=f"viewer:={viewer} needs {package}, which is not installed: {apt}"):
        started(launch_file, f"viewer:={viewer}")


def test_rviz_shows_the_topics_of_this_robot(
    launch_file: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, tmp_path, "rviz2")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    arguments = ("viewer:=rviz", "namespace:=robot1", "image:=color/image_raw", "name:=eyes", "fixed_frame:=map")
    _, remark, rviz = started(launch_file, *arguments)
    option, config, *frame = rviz.named["arguments"]
    assert (rviz.named["package"], option, frame) == ("rviz2", "-d", ["-f", "map"])
    displays = yaml.safe_load(Path(config).read_text())["Visualization Manager"]["Displays"]
    topics = {display["Topic"]["Value"] for display in displays if "Topic" in display}
    assert {"/robot1/eyes/overlay", "/robot1/color/image_raw"} <= topics
    assert "rqt_image_view /robot1/eyes/overlay" in remark.named["msg"]


def test_foxglove_shows_the_first_camera(
    launch_file: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, tmp_path, "foxglove_bridge")
    _, remark, bridge = started(launch_file, "viewer:=foxglove")
    assert (bridge.named["package"], bridge.named["executable"]) == ("foxglove_bridge", "foxglove_bridge")
    assert str(ROOT / "config/sam2_foxglove.json") in remark.named["msg"]
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    _, remark, _ = started(launch_file, "viewer:=foxglove", "cameras:=front,rear", "image:=/{camera}/image_raw")
    layout = json.loads(Path(remark.named["msg"].split()[-1]).read_text())
    images = {panel["imageMode"]["imageTopic"] for name, panel in layout["configById"].items() if "Image!" in name}
    assert images == {"/sam2/front/overlay", "/front/image_raw"}


def test_depth_and_calibration_reach_each_camera(launch_file: ModuleType) -> None:
    topics = remapped(launch_file, "image:=/camera/color/image_raw", "depth:=/camera/aligned_depth/image_raw")
    assert topics["depth"] == "/camera/aligned_depth/image_raw"
    assert topics["camera_info"] == "/camera/color/camera_info", "beside the images, as image_transport expects it"
    topics = remapped(launch_file, "cameras:=front,rear", "camera_info:=/{camera}/info")
    assert topics["rear/camera_info"] == "/rear/info"
    assert topics["front/depth"] == "front/depth"
    assert remapped(launch_file)["camera_info"] == "camera_info"
