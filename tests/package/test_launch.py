"""The launch file and config/sam2.yaml say what the nodes themselves say."""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
import rclpy
import yaml
from rclpy.node import Node
from rclpy.parameter import Parameter

from sam2_ros.ros.camera import CameraNode
from sam2_ros.ros.node import Sam2Node

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILE = ROOT / "launch/sam2.launch.py"
EVERY_NODES = ("use_sim_time", "start_type_description_service")


@pytest.fixture
def context(ros_domain: int) -> Iterator[rclpy.Context]:
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture
def sam2(context: rclpy.Context) -> Iterator[Sam2Node]:
    node = Sam2Node(context=context)  # never spun, so it does not bring itself up
    yield node
    node.destroy_node()


@pytest.fixture
def camera(context: rclpy.Context, tmp_path: Path) -> Iterator[CameraNode]:
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((4, 4, 3), np.uint8))
    node = CameraNode(context=context, parameter_overrides=[Parameter("source", value=str(tmp_path))])
    yield node
    node.destroy_node()


def parameters(node: Node) -> dict[str, object]:
    """What the node declares about itself, with its values."""
    names = [name for name in node._parameters if name not in EVERY_NODES and not name.startswith("qos_overrides.")]
    return {name: node.get_parameter(name).value for name in names}


def declared_in_launch_file(table: str) -> dict[str, str]:
    """The names and types in one of its tables, read without ROS's launch, which has no wheel."""
    for statement in ast.parse(LAUNCH_FILE.read_text()).body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id == table:
            rows = zip(statement.value.keys, statement.value.values, strict=True)
            return {name.value: row.elts[0].id for name, row in rows}
    raise AssertionError(f"{LAUNCH_FILE.name} has no {table}")


def test_the_config_file_gives_every_parameter_with_its_default(sam2: Sam2Node) -> None:
    config = yaml.safe_load((ROOT / "config/sam2.yaml").read_text())
    assert config["/**"]["ros__parameters"] == parameters(sam2)


def test_the_launch_file_has_every_parameter_of_the_node(sam2: Sam2Node) -> None:
    types = {name: type(value).__name__ for name, value in parameters(sam2).items()}
    assert declared_in_launch_file("SAM2_PARAMETERS") == types


def test_the_launch_file_sets_parameters_that_the_camera_has(camera: CameraNode) -> None:
    types = {name: type(value).__name__ for name, value in parameters(camera).items()}
    assert declared_in_launch_file("CAMERA_PARAMETERS").items() <= types.items()


@pytest.mark.parametrize(
    ("arguments", "executables"),
    [({}, ["sam2"]), ({"camera": "true", "source": "clip.mp4", "max_objects": "3"}, ["sam2", "camera"])],
)
def test_the_launch_file_starts_the_nodes(arguments: dict[str, str], executables: list[str]) -> None:
    pytest.importorskip("launch_ros", reason="ROS's launch is not installed")
    import launch

    spec = importlib.util.spec_from_file_location("sam2_launch", LAUNCH_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    context = launch.LaunchContext()
    context.launch_configurations.update(arguments)
    *declarations, start = module.generate_launch_description().entities
    for declaration in declarations:
        declaration.execute(context)
    assert [node.node_executable for node in start.execute(context)] == executables


class Described:
    """Stands in for what ROS's launch would make of a description; it has no wheel."""

    def __init__(self, *arguments: object, **named: object) -> None:
        self.arguments = arguments
        self.named = named


@pytest.fixture
def launch_file(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The launch file as a module, over stand-ins for launch and launch_ros."""
    names = {
        "launch": ["LaunchContext", "LaunchDescription", "LaunchDescriptionEntity"],
        "launch.actions": ["DeclareLaunchArgument", "LogInfo", "OpaqueFunction"],
        "launch_ros": [],
        "launch_ros.actions": ["Node"],
        "launch_ros.parameter_descriptions": ["ParameterFile", "ParameterValue"],
    }
    for name, classes in names.items():
        stand_in = ModuleType(name)
        for one in classes:
            setattr(stand_in, one, type(one, (Described,), {}))
        monkeypatch.setitem(sys.modules, name, stand_in)
    spec = importlib.util.spec_from_file_location("sam2_launch", LAUNCH_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def started(launch_file: ModuleType, *arguments: str) -> list[Described]:
    """What the launch file starts, given these arguments on the command line."""
    *declared, start = launch_file.generate_launch_description().arguments[0]
    values = {one.arguments[0]: one.named["default_value"] for one in declared}
    values |= dict(argument.split(":=") for argument in arguments)
    context = SimpleNamespace(launch_configurations=values, argv=list(arguments))
    return start.named["function"](context)


def test_show_args_shows_plain_defaults(launch_file: ModuleType) -> None:
    """`ros2 launch --show-args` would print a substitution as PathJoin('PathJoin(..."""
    *declared, _ = launch_file.generate_launch_description().arguments[0]
    defaults = {one.arguments[0]: one.named["default_value"] for one in declared}
    assert all(isinstance(default, str) for default in defaults.values())
    assert Path(defaults["params_file"]).samefile(ROOT / "config/sam2.yaml")


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [
        ("max_objects:=lots", "a whole number"),
        ("max_objects:=2.5", "a whole number"),
        ("prompt_timeout:=5s", "a number"),
        ("keep_all:=maybe", "true or false"),
        ("camera:=yes", "true or false"),
        ("use_sim_time:=on", "true or false"),
        ("params_file:=/no/file.yaml", "there is no such file"),
    ],
)
def test_an_argument_that_cannot_be_is_named(launch_file: ModuleType, argument: str, wanted: str) -> None:
    with pytest.raises(RuntimeError, match=f"{argument}.*{wanted}"):
        started(launch_file, argument)


def test_arguments_reach_the_node_in_their_types(launch_file: ModuleType) -> None:
    given = ("max_objects:=3", "prompt_timeout:=5", "keep_all:=True", "image_aspect:=16:9", "use_sim_time:=1")
    (sam2,) = started(launch_file, *given)
    parameters, time = sam2.named["parameters"][1:]
    values = {name: (value.arguments[0], value.named["value_type"]) for name, value in parameters.items()}
    assert values == {
        "max_objects": (3, int),
        "prompt_timeout": (5.0, float),
        "keep_all": (True, bool),
        "image_aspect": ("16:9", str),
    }
    assert time == {"use_sim_time": True}


def test_a_misspelt_argument_is_remarked_on(launch_file: ModuleType) -> None:
    remark, sam2 = started(launch_file, "max_object:=3", "robot_name:=rover")
    assert "no argument 'max_object'; did you mean 'max_objects'?" in remark.named["msg"]
    assert sam2.named["executable"] == "sam2"
