"""Warnings about parameters without effect."""

from __future__ import annotations

from pathlib import Path

import node_log
import pytest
from rclpy.parameter import Parameter
from robot import Graph

from sam2_ros.ros.camera import CameraNode
from sam2_ros.ros.parameter_files import warn_of_unused


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/0.png").touch()
    return str(tmp_path / "pictures")


def camera(graph: Graph, **parameters: object) -> CameraNode:
    overrides = [Parameter(name.replace("__", "."), value=value) for name, value in parameters.items()]
    return graph.add(CameraNode(context=graph.context, parameter_overrides=overrides))


def test_misspelt_parameter_is_logged(graph: Graph, source: str, capfd: pytest.CaptureFixture) -> None:
    camera(graph, source=source, wait_for_masklet=True, use_sim_time=False, colour="red")
    log = node_log.written()
    assert "There is no parameter wait_for_masklet, so it has no effect; is wait_for_masklets meant?" in log
    assert "There is no parameter colour, so it has no effect\n" in log
    assert log.count("has no effect") == 2


def test_misspelt_parameter_of_the_sam2_node_is_logged(graph: Graph, capfd: pytest.CaptureFixture) -> None:
    graph.sam2(autostart=False, image_sise=320)
    assert "There is no parameter image_sise, so it has no effect; is image_size meant?" in node_log.written()


def test_qos_of_a_missing_topic_is_logged(graph: Graph, source: str, capfd: pytest.CaptureFixture) -> None:
    good = {"qos_overrides./image.publisher.reliability": "reliable"}
    bad = {"qos_overrides./imaeg.publisher.reliability": "reliable"}
    camera(graph, source=source, **good, **bad)
    log = node_log.written()
    assert "qos_overrides./imaeg.publisher.reliability has no effect" in log
    assert "is qos_overrides./image.publisher.reliability meant?" in log
    assert log.count("has no effect") == 1


@pytest.mark.parametrize(
    ("heading", "is_meant"),
    [
        ("/**", True),
        ("camera", True),
        ("/camera", True),
        ("/*", True),
        ("/**/camera", True),
        ("sam2", False),
        ("/front/camera", False),
        ("/front/*", False),
    ],
)
def test_file_for_another_node_is_logged(
    graph: Graph, source: str, tmp_path: Path, capfd: pytest.CaptureFixture, heading: str, is_meant: bool
) -> None:
    node = camera(graph, source=source)
    file = tmp_path / "my.yaml"
    file.write_text(f"{heading}:\n  ros__parameters:\n    rate: 5.0\n")
    warn_of_unused(node, ["camera", "--ros-args", "--params-file", str(file)])
    log = node_log.written()
    assert ("has an effect" not in log) == is_meant
    if not is_meant:
        assert "this node is /camera" in log
