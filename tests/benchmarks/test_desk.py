"""What the benchmark of the desk measures, in a short stretch with the node, a desk and its pages as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

MEASURE = """
import sys
from pathlib import Path

from desk import DeskedNode, Kind, looked_at, measure
from sam2_ros.scenes.demo_scene import demo_scene

kind = Kind("pages", reading=2, deaf=1)
with (
    DeskedNode(list(demo_scene(8).frames), ["image_size:=192"]) as node,
    looked_at(node, kind, Path(sys.argv[1], "pages.txt")) as (desk, pages),
):
    measured = measure(node, desk, pages, images=40, rate=10)
    pages.check()
assert 0 < measured.rate < 12 and measured.node_cpu > 0 and measured.memory > 10, measured
assert len(measured.latencies) > 10 and (measured.latencies > 0).all(), "published before they come"
assert 1 < measured.shown < 12, measured
"""
"""In a process of its own: Fast DDS keeps the profile of the first node of a process for all that follow."""


def test_pages_of_whom_some_read_nothing(ros_domain: int, tmp_path: Path) -> None:
    path = os.pathsep.join([str(BENCHMARKS), os.environ["PYTHONPATH"]])
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
