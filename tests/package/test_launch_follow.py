"""launch/follow.launch.py: a detector in front of the sam2 node, and goals behind it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml
from launch_files import Described, installed, loaded_over_stand_ins

from sam2_ros.ros.parameters import FOLLOW_PARAMETERS, SAM2_PARAMETERS


@pytest.fixture
def launch_file(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return loaded_over_stand_ins("follow.launch.py", monkeypatch)


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A robot on which the default detector is installed."""
    installed(monkeypatch, tmp_path, "ros2_nanoowl")


def started(launch_file: ModuleType, *arguments: str) -> list[Described]:
    """The actions that the launch file starts with these arguments, but for the sam2 node, which is the last."""
    *declared, start = launch_file.generate_launch_description().arguments[0]
    values = {entry.arguments[0]: entry.named["default_value"] for entry in declared}
    assert len(values) == len(declared)
    values |= dict(argument.split(":=", 1) for argument in arguments)
    *others, sam2 = start.named["function"](SimpleNamespace(launch_configurations=values, argv=list(arguments)))
    assert sam2.named["executable"] == "sam2"
    return others


@pytest.mark.usefixtures("detector")
def test_arguments_reach_the_node(launch_file: ModuleType) -> None:
    *declared, start = launch_file.generate_launch_description().arguments[0]
    values = {entry.arguments[0]: entry.named["default_value"] for entry in declared}
    values |= {"text": "mug", "image": "/camera/image", "max_objects": "3", "detections": "/boxes"}
    *_, sam2 = start.named["function"](SimpleNamespace(launch_configurations=values, argv=[]))
    topics = dict(sam2.named["remappings"])
    assert (topics["image"], topics["detections"]) == ("/camera/image", "/boxes")
    parameters = {name: value.arguments[0] for name, value in sam2.named["parameters"][1].items()}
    assert parameters == {"max_objects": 3, "detection_min_score": 0.0}


@pytest.mark.usefixtures("detector")
def test_text_and_images_reach_the_detector_and_its_boxes_the_node(launch_file: ModuleType) -> None:
    detector, text = started(launch_file, "text:=red mug: 'large'", "image:=/camera/image", "namespace:=robot1")
    assert (detector.named["package"], detector.named["executable"]) == ("ros2_nanoowl", "nano_owl_py")
    assert dict(detector.named["remappings"]) == {
        "input_image": "/camera/image",
        "input_query": "/robot1/detector_text",
        "output_detections": "detections",
    }
    *_, topic, kind, data = text.named["cmd"]
    assert (topic, kind) == ("/robot1/detector_text", "std_msgs/msg/String")
    assert yaml.safe_load(data) == {"data": "red mug: 'large'"}


@pytest.mark.usefixtures("detector")
def test_goals_come_from_the_objects_of_this_node(launch_file: ModuleType) -> None:
    arguments = ("text:=mug", "goals:=true", "name:=eyes", "stop_distance:=1", "label:=2")
    *_, follow = started(launch_file, *arguments)
    assert follow.named["executable"] == "follow"
    assert dict(follow.named["remappings"]) == {"sam2/objects_3d": "eyes/objects_3d"}
    values, _ = follow.named["parameters"]
    assert {name: value.arguments[0] for name, value in values.items()} == {"stop_distance": 1.0, "label": "2"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["text:=mug", "detector_package:=my_detector"], "my_detector: that package is not installed.*''"),
        ([], "text:= what to track"),
        (["text:=mug", "cameras:=front,rear"], "is for one camera"),
        (["text:=mug", "detector_parameters:=0.1"], "is no mapping"),
        (["text:=mug", "detector_parameters:={a: [}"], "is no YAML"),
        (["text:=mug", "max_objects:=many"], "max_objects:=many.*a whole number"),
        (["text:=mug", "goals:=on"], "goals:=on cannot be: it must be true or false"),
        (["text:=mug", "goals:=true", "stop_distance:=near"], "stop_distance:=near.*a number"),
    ],
)
@pytest.mark.usefixtures("detector")
def test_invalid_argument_is_named(launch_file: ModuleType, arguments: list[str], reason: str) -> None:
    with pytest.raises(RuntimeError, match=reason):
        started(launch_file, *arguments)


def test_detector_that_already_runs_is_not_started(launch_file: ModuleType) -> None:
    (remark,) = started(launch_file, "detector_package:=", "detections:=/boxes")
    assert "/boxes" in remark.named["msg"]


def test_arguments_do_not_clash_with_those_of_the_node(launch_file: ModuleType) -> None:
    """A parameter of both nodes would be set for both."""
    assert not {spec.name for spec in FOLLOW_PARAMETERS} & {spec.name for spec in SAM2_PARAMETERS}
