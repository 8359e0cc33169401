"""What `resume_file` costs, and how well objects are followed after a restart.

    python benchmarks/resuming.py [WEIGHTS] [--size 320] [--gap 12] [--frames 180]

The car and the duck of the demo are prompted with boxes on its first image. After a few images the process ends as
if it were killed: the next images (`--gap`) are missing, and a new tracker goes on with what was in the file. "Without
restart", the same tracker goes on, with the same images missing. J is the mean IoU (0 .. 1) over the second after that,
where an object is visible. Times are medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

from sam2_ros.checkpoints.load import load_model
from sam2_ros.data.clip import Clip
from sam2_ros.model.sam2 import SAM2
from sam2_ros.ros.resume_file import KeptObjects, ResumeFile
from sam2_ros.ros.sightings import Sightings
from sam2_ros.scenes.demo_scene import CAR, DUCK, FPS, demo_scene
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.prompt import Box, Prompt
from sam2_ros.tracking.tracker import Tracker

OBJECTS = (CAR, DUCK)
KILLED_AT = (20, 60, 130)
"""Images before the restart: all visible; the car about to go behind the pot; the car out of the image."""

T = TypeVar("T")


class Times:
    """Medians of what was measured, ms."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = {}

    def measure(self, name: str, function: Callable[..., T], *arguments: object) -> T:
        start = time.perf_counter()
        result = function(*arguments)
        self._times.setdefault(name, []).append(1e3 * (time.perf_counter() - start))
        return result

    def medians(self) -> dict[str, float]:
        return {name: statistics.median(times) for name, times in self._times.items()}


def box_around(mask: np.ndarray) -> Box:
    rows, columns = np.nonzero(mask)
    return Box.from_corners(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def scores(frame: Frame, truths: np.ndarray) -> list[float]:
    """IoU of each object that is visible."""
    found = []
    for masklet in frame.masklets:
        truth = truths[masklet.object_id - 1]
        if np.count_nonzero(truth) >= 50:
            found.append(np.count_nonzero(masklet.mask & truth) / np.count_nonzero(masklet.mask | truth))
    return found


def follow(
    model: SAM2, clip: Clip, killed_at: int, gap: int, restart: bool, file: ResumeFile, times: Times
) -> list[float]:
    """Scores after the gap."""
    tracker = Tracker(model)
    sightings = Sightings(tracker.network.config)
    found: list[float] = []
    for index, image in enumerate(clip.frames):
        if killed_at <= index < killed_at + gap:
            continue
        if index >= killed_at + gap + FPS:
            break
        if index == killed_at + gap and restart:
            kept = times.measure("start: read the file", file.read)
            assert kept is not None
            tracker = Tracker(model)
            times.measure("start: remember objects", tracker.resume, kept.sightings, kept.next_id)
        frame = tracker.step(image, int(1e9 * index / FPS))
        sightings.add_image(frame.stamp, image)
        if index == 0:
            for object_id in OBJECTS:
                masklet = tracker.prompt(Prompt(object_id, box=box_around(clip.masks[0][object_id - 1]), label="thing"))
                sightings.add_prompted(masklet, frame.stamp, tracker.newest, replaced=True)
        if index < killed_at and index % FPS == 0:
            seen = times.measure("stream's thread, once a second", sightings.of, tracker.newest, tracker.labels)
            times.measure("writer's thread, once a second", file.write, KeptObjects(seen, tracker.next_id))
        if index >= killed_at + gap:
            found += scores(frame, clip.masks[index])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", type=Path, metavar="WEIGHTS", help="default: the shipped ones")
    parser.add_argument("--size", type=int, help="input size of the network (default: the model's)")
    parser.add_argument("--gap", type=int, default=12, help="missing images (%(default)s)")
    parser.add_argument("--frames", type=int, default=180, help="of the demo, at most 240 (%(default)s)")
    options = parser.parse_args()
    clip, times = demo_scene(options.frames), Times()
    model = load_model(checkpoint=options.weights, image_size=options.size)
    console = Console()
    table = Table("killed at image", "J without restart", "J after a restart", "file (KB)")
    with tempfile.TemporaryDirectory() as folder:
        file = ResumeFile(Path(folder, "objects.zip"))
        for killed_at in KILLED_AT:
            if killed_at + options.gap >= len(clip.frames):
                continue
            without, after = (
                np.mean(follow(model, clip, killed_at, options.gap, restart, file, times)) for restart in (False, True)
            )
            size = file.path.stat().st_size / 1e3
            table.add_row(str(killed_at), f"{without:.3f}", f"{after:.3f}", f"{size:.0f}")
    console.print(table)
    for name, milliseconds in times.medians().items():
        console.print(f"{name}: {milliseconds:.1f} ms")


if __name__ == "__main__":
    main()
