"""The viewers' configurations: they can be read, and the topics in them exist with the types that panels need."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from robot import Robot

from sam2_ros.ros.node import Sam2Node
from sam2_ros.ros.viewers import with_topics

CONFIG = Path(__file__).resolve().parents[2] / "config"
RVIZ, FOXGLOVE = CONFIG / "sam2.rviz", CONFIG / "sam2_foxglove.json"

DISPLAYS = {
    "rviz_default_plugins/Image": "sensor_msgs/msg/Image",
    "rviz_default_plugins/PointCloud2": "sensor_msgs/msg/PointCloud2",
    "vision_msgs_rviz_plugins/Detection3DArray": "vision_msgs/msg/Detection3DArray",
}
"""What RViz's displays show."""


def rviz_topics() -> Iterator[tuple[str, str]]:
    """Topics in RViz's configuration with the types of their displays."""
    for display in yaml.safe_load(RVIZ.read_text())["Visualization Manager"]["Displays"]:
        if "Topic" in display:
            yield display["Topic"]["Value"], DISPLAYS[display["Class"]]


def panels() -> dict[str, dict[str, Any]]:
    return json.loads(FOXGLOVE.read_text())["configById"]


def message_paths() -> list[str]:
    """What Foxglove's plots and raw messages show: a topic, and fields of its messages."""
    shown = panels().values()
    plotted = [series["value"] for panel in shown for series in panel.get("paths", ())]
    return [*plotted, *(panel["topicPath"] for panel in shown if "topicPath" in panel)]


def message_class(kind: str) -> type:
    package, _, name = kind.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


def has_field(kind: str, path: str) -> bool:
    """Whether a message path such as `masklets[:]{object_id==1}.presence` exists in messages of a type."""
    for field, condition in re.findall(r"\.(\w+)(?:\[:\])?(?:\{(\w+)==\d+\})?", path):
        fields = message_class(kind).get_fields_and_field_types()
        if field not in fields:
            return False
        kind = re.sub(r"sequence<(\w+)/(\w+)>", r"\1/msg/\2", fields[field])
        if condition and condition not in message_class(kind).get_fields_and_field_types():
            return False
    return True


@pytest.fixture
def types(vision: ModuleType, sam2: Sam2Node, robot: Robot) -> dict[str, list[str]]:
    """The types of the topics of a robot with the node's default names."""
    return dict(robot.get_topic_names_and_types())


def test_topics_in_rviz_exist(types: dict[str, list[str]]) -> None:
    topics = dict(rviz_topics())
    assert {"/image", "/sam2/overlay", "/sam2/points", "/sam2/objects_3d"} <= topics.keys()
    assert {topic: [kind] for topic, kind in topics.items()} == {topic: types.get(topic) for topic in topics}


def test_topics_in_foxglove_exist(types: dict[str, list[str]]) -> None:
    images = [panel["imageMode"]["imageTopic"] for panel in panels().values() if "imageMode" in panel]
    assert {*images} == {"/image", "/sam2/overlay"}
    assert all(types[topic] == ["sensor_msgs/msg/Image"] for topic in images)
    drawn = {topic for panel in panels().values() for topic in panel.get("topics", ())}
    assert drawn <= types.keys()
    diagnostics = panels()["DiagnosticSummary!diagnostics"]["topicToRender"]
    assert types[diagnostics] == ["diagnostic_msgs/msg/DiagnosticArray"]


def test_fields_in_foxglove_exist(types: dict[str, list[str]]) -> None:
    paths = message_paths()
    assert any(path.endswith(".presence") for path in paths)
    for path in paths:
        topic, fields = path.split(".", 1)
        assert has_field(types[topic][0], f".{fields}"), path
    assert not has_field("sam2_ros/msg/MaskletArray", ".masklets[:].presense")
    assert not has_field("sam2_ros/msg/MaskletArray", ".masklets[:]{object==1}.presence")


def test_clicks_in_foxglove_are_prompts(types: dict[str, list[str]]) -> None:
    click = panels()["Publish!click"]
    assert types[click["topicName"]] == [click["datatype"]] == ["geometry_msgs/msg/PointStamped"]
    message = json.loads(click["value"])
    assert message["header"]["stamp"] == {"sec": 0, "nanosec": 0}  # the newest image
    assert message["point"].keys() == {"x", "y", "z"} and message["point"]["z"] == 0  # a pixel, not a point in space
    published = {panel["publish"]["pointTopic"] for panel in panels().values() if "publish" in panel}
    assert published == {click["topicName"]}


def test_layout_shows_every_panel() -> None:
    assert {*re.findall(r'"(\w+!\w+)"', json.dumps(json.loads(FOXGLOVE.read_text())["layout"]))} == panels().keys()


def test_rviz_has_no_tool_whose_clicks_are_refused() -> None:
    tools = yaml.safe_load(RVIZ.read_text())["Visualization Manager"]["Tools"]
    assert tools and not any("PublishPoint" in tool["Class"] for tool in tools)


@pytest.mark.parametrize("config", [RVIZ, FOXGLOVE], ids=lambda path: path.suffix)
def test_topics_are_renamed_and_nothing_else(config: Path) -> None:
    def parsed(text: str) -> str:
        return json.dumps(yaml.safe_load(text))

    assert with_topics(config, "/sam2", "/image") == config.read_text()
    text = parsed(with_topics(config, "/robot1/eyes/front", "/front/image"))
    back = text.replace('"/robot1/eyes/front/', '"/sam2/').replace('"/front/image"', '"/image"')
    assert back == parsed(config.read_text()) != text
    assert '"/sam2/' not in text and '"/image"' not in text
