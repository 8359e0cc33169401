"""The node's rate while it segments everything: python benchmarks/segmenting_node.py [--objects 3] [--rounds 5]

The node runs in a process of its own; each image is sent when the masklets of the one before it have come. In each
round, in turn: images alone; images while ~/segment_everything works on one of them; and while it does so with `track`,
for which images wait. Medians of the rounds. Parameters of the node: --parameter NAME:=VALUE.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass

import numpy as np
from live_node import LiveNode
from rich.console import Console
from rich.table import Table
from std_srvs.srv import Trigger

from sam2_ros import srv
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.tracking.prompt import Click


@dataclass(frozen=True)
class Stretch:
    """Images, alone or beside one request."""

    rate: float
    """Images a second."""
    longest: float
    """The longest time from an image to its masklets, ms."""
    seconds: float
    """Until the request was answered."""
    masks: int = 0


class SegmentingNode(LiveNode):
    """The node, its camera, and who asks for everything."""

    def __enter__(self) -> SegmentingNode:
        super().__enter__()
        self._segment = self._node.create_client(srv.SegmentEverything, "/sam2/segment_everything")
        self._reset = self._node.create_client(Trigger, "/sam2/reset")
        self._wait(lambda: self._segment.service_is_ready() and self._reset.service_is_ready(), 60, "no services")
        return self

    def begin(self, clicks: list[Click]) -> None:
        """Forget everything, and click on objects in a new image."""
        answer = self._reset.call_async(Trigger.Request())
        self._wait(answer.done, 60, "no answer of ~/reset")
        self.show(1)
        self.prompt(clicks)

    def alone(self, images: int) -> Stretch:
        shown = self.show(images)
        return Stretch(images / shown.seconds, float(shown.latencies.max()), shown.seconds)

    def beside_a_request(self, track: bool) -> Stretch:
        start = time.perf_counter()
        answer = self._segment.call_async(srv.SegmentEverything.Request(track=track))
        latencies: list[float] = []
        while not answer.done():
            latencies.extend(self.show(1).latencies)
        seconds = time.perf_counter() - start
        if not (response := answer.result()).success:
            raise RuntimeError(response.message)
        return Stretch(len(latencies) / seconds, max(latencies), seconds, len(response.masklets))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=40, help="of a stretch without a request")
    parser.add_argument("--parameter", metavar="NAME:=VALUE", action="append", default=[], help="of the node; repeat")
    options = parser.parse_args()
    settings = SceneSettings(480, 640, frames=30, objects=(options.objects, options.objects), leaving=0)
    scene = SyntheticScenes(settings).scene(1)
    masks = scene.masks[0]
    assert masks is not None, "every frame of a generated scene has masks"
    clicks = [_inside(mask) for mask in masks if mask.any()]
    kinds = ("images alone", "beside a request", "beside a request with track")
    found: dict[str, list[Stretch]] = {kind: [] for kind in kinds}
    with SegmentingNode(list(scene.frames), ["max_objects:=16", *options.parameter]) as node:
        for _ in range(options.rounds):
            node.begin(clicks)
            node.alone(5)
            found[kinds[0]].append(node.alone(options.images))
            found[kinds[1]].append(node.beside_a_request(track=False))
            found[kinds[2]].append(node.beside_a_request(track=True))
    table = Table("", "images/s", "of alone", "longest wait, ms", "answer after, s", "masks", box=None)
    for kind, stretches in found.items():
        pairs = zip(stretches, found[kinds[0]], strict=True)
        of_alone = statistics.median(one.rate / alone.rate for one, alone in pairs)
        middle = {name: statistics.median(getattr(one, name) for one in stretches) for name in vars(stretches[0])}
        request = (f"{middle['seconds']:.2f}", f"{middle['masks']:.0f}") if kind != kinds[0] else ("", "")
        table.add_row(kind, f"{middle['rate']:.1f}", f"{of_alone:.2f}", f"{middle['longest']:.0f}", *request)
    Console(width=110).print(table)


def _inside(mask: np.ndarray) -> Click:
    """A pixel in the middle of a mask."""
    rows, columns = np.nonzero(mask)
    middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return Click(float(columns[middle]), float(rows[middle]))


if __name__ == "__main__":
    main()
