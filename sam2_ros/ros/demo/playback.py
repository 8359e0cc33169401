"""The playback of a show through the real graph, into a bag."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from sam2_ros.ros.demo.error import DemoError
from sam2_ros.ros.demo.operator import Operator
from sam2_ros.ros.demo.progress import progress_bar
from sam2_ros.ros.demo.show import Show
from sam2_ros.ros.demo.topics import IMAGE, MASKLETS, PROMPTS, RECORDED, RESULTS
from sam2_ros.ros.graph import Graph


def play(show: Show, bag: Path, logs: Path, network: dict[str, object], console: Console) -> None:
    """Runs the graph from the first frame to the last and leaves a bag.

    Args:
        bag: folder of the bag; must not exist.
        logs: folder for the output of the processes.
        network: parameters of the sam2 node; empty values are left to its defaults.

    Raises:
        DemoError: a process failed, a prompt was refused or the graph made no progress.
    """
    parameters = {name: value for name, value in network.items() if value}
    with Graph(logs) as graph, Operator(graph, show.prompts) as operator, progress_bar(console) as bar:
        task = bar.add_task("starting the nodes", total=show.frames)
        # The compressed images are both processed and recorded, so that replaying the bag gives the same masklets.
        sam2 = _parameters(image_transport="compressed", keep_all=True, **parameters) + _reliable("subscription")
        graph.start("sam2", "sam2_ros.ros.node", "--ros-args", "-r", f"image:={IMAGE}", *sam2)
        graph.start("record", "sam2_ros.ros.recorder", "-o", str(bag), *RECORDED)
        subscribers = {MASKLETS: 2, PROMPTS: 2, RESULTS: 2}  # recorder and operator; node and recorder
        operator.wait(
            lambda: all(operator.node.count_subscribers(topic) >= count for topic, count in subscribers.items()),
            lambda: "the nodes did not find each other",
            lambda: None,
        )
        # The camera starts when the node, the recorder and the operator have subscribed.
        camera = _parameters(source=show.source, wait_for_masklets=True, wait_for_subscribers=3)
        remap = ["-r", f"image:={IMAGE}", "-r", f"image/compressed:={IMAGE}/compressed", "-r", f"masklets:={MASKLETS}"]
        playing = graph.start("camera", "sam2_ros.ros.camera", "--ros-args", *remap, *camera, *_reliable("publisher"))
        bar.update(task, description="tracking")
        stamps, results = operator.stamps, operator.results
        operator.wait(
            lambda: playing.poll() == 0 and len(stamps) >= show.frames and len(results) >= len(show.prompts),
            lambda: (
                f"masklets came for {len(stamps)} of {show.frames} images,"
                f" results for {len(results)} of {len(show.prompts)} prompts"
            ),
            lambda: bar.update(task, completed=min(len(stamps), show.frames)),
        )
        bar.update(task, completed=show.frames)
        if graph.end("record") != 0:
            raise DemoError(f"the bag could not be completed:\n{graph.last_lines('record')}")


def _parameters(**values: object) -> list[str]:
    return [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]


def _reliable(end: str) -> list[str]:
    """QoS with which the demo loses no image."""
    return ["-p", f"qos_overrides.{IMAGE}/compressed.{end}.reliability:=reliable"]
