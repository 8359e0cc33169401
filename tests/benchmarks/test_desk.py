"""What the benchmark of the desk measures, in a short stretch with the node, a desk and its pages as processes."""

from __future__ import annotations

from pathlib import Path

from desk import DeskedNode, Kind, looked_at, measure

from sam2_ros.scenes.demo_scene import demo_scene


def test_pages_of_whom_some_read_nothing(ros_domain: int, tmp_path: Path) -> None:
    kind = Kind("pages", reading=2, deaf=1)
    with (
        DeskedNode(list(demo_scene(8).frames), ["image_size:=192"]) as node,
        looked_at(node, kind, tmp_path / "pages.txt") as (desk, pages),
    ):
        measured = measure(node, desk, pages, images=40, rate=10)
        assert pages is not None
        pages.check()
    assert 0 < measured.rate < 12 and measured.node_cpu > 0 and measured.memory > 10
    assert len(measured.latencies) > 10 and (measured.latencies > 0).all(), "published before they come"
    assert 1 < measured.shown < 12
