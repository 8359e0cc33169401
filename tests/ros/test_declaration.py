"""Declared parameters: which values the nodes accept, and when."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.node import Node
from rclpy.parameter import Parameter
from robot import TIMEOUT, Graph, Robot

from sam2_ros.ros.camera import CameraNode
from sam2_ros.ros.node import Sam2Node
from sam2_ros.ros.parameters import CAMERA_PARAMETERS, SAM2_PARAMETERS

ROOT = Path(__file__).resolve().parents[2]
ROS_PARAMETERS = ("use_sim_time", "start_type_description_service")


def declared(node: Node) -> dict[str, object]:
    """The values of a node's own parameters."""
    names = [name for name in node._parameters if name not in ROS_PARAMETERS and not name.startswith("qos_overrides.")]
    return {name: node.get_parameter(name).value for name in names}


def camera(graph: Graph, **parameters: object) -> CameraNode:
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    return graph.add(CameraNode(context=graph.context, parameter_overrides=overrides))


def test_shipped_parameter_file_is_accepted(graph: Graph) -> None:
    """Its empty list among others, which ROS reads as no value."""
    arguments = ["--ros-args", "--params-file", str(ROOT / "config/sam2.yaml"), "-p", "autostart:=false"]
    node = graph.add(Sam2Node(context=graph.context, cli_args=arguments))
    assert declared(node) == declared(graph.sam2(autostart=False))


def test_nodes_declare_all_parameters(graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "0.png").touch()
    defaults = {spec.name: spec.default or [] if spec.name == "cameras" else spec.default for spec in SAM2_PARAMETERS}
    assert declared(graph.sam2(autostart=False)) == defaults | {"autostart": False}
    defaults = {spec.name: spec.default for spec in CAMERA_PARAMETERS}
    assert declared(camera(graph, source=str(tmp_path))) == defaults | {"source": str(tmp_path)}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("loop", "often", "it must be true or false"),
        ("rate", "fast", "it must be a number from 0 to 1000"),
        ("rate", -1.0, "it must be a number from 0 to 1000"),
        ("wait_for_subscribers", 1.5, "it must be a whole number from 0 to 1000"),
    ],
)
def test_invalid_camera_values_are_refused(graph: Graph, name: str, value: object, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{name} is {value!r}; {reason}")):
        camera(graph, **{name: value})


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("/", "that is a folder; give the name of a file, such as /objects.zip"),
        ("..", "that is a folder"),
        ("/dev/null", "that is no ordinary file"),
    ],
)
def test_resume_file_is_a_file(graph: Graph, file: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"resume_file is {file!r}: {reason}"):
        graph.sam2(resume_file=file)


INVALID_VALUES = [
    ("model", "sam2_tiny", "Did you mean sam2_hiera_tiny?"),
    ("model", "yolo", "Choose one of: default, sam2_hiera_tiny"),
    ("model", "runs/average.safetensors", "give them as checkpoint"),
    ("checkpoint", "/no/weights.pt", "there is no such file or folder"),
    ("checkpoint", "weights.pt", "where the node was started"),
    ("image_size", 250, "it must be a multiple of 32, such as 224 or 256"),
    ("image_size", 20, "such as 32;"),
    ("image_size", 5000, "image_size"),
    ("image_aspect", "wide", "expected an aspect like 16:9"),
    ("device", "gpu", "there is no device 'gpu'; use cpu, cuda"),
    ("device", "cuda:77", "cuda"),
    ("dtype", "float8", "bfloat16"),
    ("dtype", "half", "must be one of: auto, float32"),
    ("accelerate", "auto", "must be true (as fast as this device allows) or false (the plain network)"),
    ("accelerate", "off", "must be true"),
    ("accelerate", "graphs", "must be true"),
    ("accelerate", "compile", "must be true"),
    ("image_transport", "theora", "must be one of: raw, compressed"),
    ("threads", -1, "threads"),
    ("max_objects", 0, "max_objects"),
    ("max_objects", "lots", "must be a whole number from 1 to 1024"),
    ("history", 0, "history"),
    ("history", 2.5, "must be a whole number from 1 to 1024"),
    ("keep_all", 7, "must be true or false"),
    ("keep_all", "maybe", "must be true or false"),
    ("model", 7, "must be a text"),
    ("prompt_timeout", "soon", "must be a number from 0 to 3600"),
    ("prompt_timeout", math.nan, "prompt_timeout"),
    ("detection_min_score", 2, "must be a number from 0 to 1"),
    ("detection_min_score", True, "must be a number from 0 to 1"),
]


def test_setting_an_invalid_value_is_refused_with_the_reason(graph: Graph) -> None:
    node = graph.sam2(autostart=False)
    before = {name: node.get_parameter(name).value for name, _, _ in INVALID_VALUES}
    for name, value, reason in INVALID_VALUES:
        (result,) = node.set_parameters([Parameter(name, value=value)])
        assert not result.successful and name in result.reason and reason in result.reason, (name, value, result)
        assert "\n" not in result.reason
    assert {name: node.get_parameter(name).value for name, _, _ in INVALID_VALUES} == before


@pytest.mark.parametrize(("name", "value", "reason"), INVALID_VALUES)
def test_node_does_not_start_with_an_invalid_value(graph: Graph, name: str, value: object, reason: str) -> None:
    with pytest.raises(Exception, match=re.escape(name)) as raised:
        graph.sam2(**{name: value})
    assert reason in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("cameras", "reason"),
    [
        (7, "must be a list of different names"),
        (["front", "front"], "occurs twice"),
        (["front camera"], "'front camera' is no name"),
        ([""], "'' is no name"),
    ],
)
def test_node_does_not_start_with_invalid_cameras(graph: Graph, cameras: object, reason: str) -> None:
    with pytest.raises(ValueError, match=f"cameras is .*{reason}"):
        graph.sam2(autostart=False, cameras=cameras)


def test_integer_is_accepted_for_a_float(graph: Graph) -> None:
    node = graph.sam2(autostart=False, prompt_timeout=5)
    assert node.get_parameter("prompt_timeout").value == 5
    (result,) = node.set_parameters([Parameter("detection_forget_after", value=30)])
    assert result.successful and node.get_parameter("detection_forget_after").value == 30


def test_parameters_apply_when_their_spec_says(robot: Robot, sam2: Sam2Node) -> None:
    (late,) = sam2.set_parameters([Parameter("history", value=3)])
    assert not late.successful and "cleanup" in late.reason
    (read_only,) = sam2.set_parameters([Parameter("autostart", value=False)])
    assert not read_only.successful
    (live,) = sam2.set_parameters([Parameter("detection_min_score", value=0.9)])
    assert live.successful
    (range_,) = sam2.set_parameters([Parameter("detection_min_score", value=1.5)])
    assert not range_.successful
    described = sam2.describe_parameters(["keep_all", "dtype", "history"])
    assert all(descriptor.description for descriptor in described)
    assert "bfloat16" in described[1].additional_constraints and described[2].integer_range
    reliability = "qos_overrides./image.subscription.reliability"
    assert sam2.get_parameter(reliability).value == "best_effort"


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("dtype:=float8", "dtype is 'float8'; it must be one of: auto, float32, bfloat16, float16"),
        ("image_size:=250", "image_size is 250: it must be a multiple of 32, such as 224 or 256; 0 is the model's own"),
        (
            "accelerate:=graphs",
            "accelerate is 'graphs'; it must be true (as fast as this device allows) or false (the plain network)",
        ),
    ],
)
def test_invalid_value_ends_the_process_with_one_line(ros_domain: int, argument: str, line: str) -> None:
    command = [sys.executable, "-m", "sam2_ros.ros.node", "--ros-args", "-p", argument]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert (ended.returncode, ended.stderr) == (1, f"sam2: {line}\n")


def test_parameters_of_an_unknown_type_are_refused(graph: Graph, robot: Robot) -> None:
    """rclpy raises, and the caller would wait for ever."""
    graph.sam2(autostart=False)
    strange = ParameterMessage(name="history", value=ParameterValue(type=77))
    good = Parameter("history", value=9).to_parameter_msg()
    answer = robot.call(SetParameters, "sam2/set_parameters", parameters=[strange, good])
    assert [result.successful for result in answer.results] == [False, True]
    assert answer.results[0].reason.startswith("history has the type 77")
    answer = robot.call(SetParametersAtomically, "sam2/set_parameters_atomically", parameters=[good, strange])
    assert not answer.result.successful and "77" in answer.result.reason
    assert robot.call(SetParametersAtomically, "sam2/set_parameters_atomically", parameters=[good]).result.successful
