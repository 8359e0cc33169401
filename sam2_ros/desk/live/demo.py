"""The desk with a camera and a sam2 node of its own, which plays the demo's scene in a loop."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from sam2_ros.desk.live import node
from sam2_ros.ros.demo.generated_scene import generated_show
from sam2_ros.ros.demo.topics import IMAGE
from sam2_ros.ros.graph import Graph
from sam2_ros.ros.parameters import Value

HISTORY = 200
"""Images that the node keeps, ten seconds: time to pause, look and point. 0.8 MB each with the default model."""


def run(parameters: Mapping[str, Value]) -> int:
    """Serves the page until Ctrl-C, on a ROS domain of its own. Returns the exit status.

    Args:
        parameters: of the desk's node.
    """
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # whatever was started by then has to end, too
        signal.signal(kind, signal.default_int_handler)
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        scene, logs = Path(folder, "scene"), Path(folder, "logs")
        scene.mkdir()
        with console.status("rendering the demo's scene"):
            generated_show(scene, frames=None)
        with Graph(logs) as graph:
            os.environ.update(graph.environment)
            graph.start("sam2", "sam2_ros.ros.node", "--ros-args", "-r", f"image:={IMAGE}", "-p", f"history:={HISTORY}")
            camera = "-r", f"image:={IMAGE}", "-r", f"image/compressed:={IMAGE}/compressed"
            source = "-p", f"source:={scene}", "-p", "loop:=true"
            graph.start("camera", "sam2_ros.ros.camera", "--ros-args", *camera, *source)
            console.print(f"camera, sam2 node and desk run in ROS_DOMAIN_ID={graph.domain}; Ctrl-C ends them")
            status = node.run({"kept_pictures": HISTORY, **parameters})
            for name, process in graph.processes.items():
                if process.poll() not in (None, 0):
                    console.print(f"{name} has ended with an error:\n{graph.last_lines(name)}", markup=False)
                    status = 1
            return status
