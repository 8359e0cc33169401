"""What a run over a recording costs beside its tracker, and what each output costs.

    python benchmarks/outputs.py [RECORDING ...] [--images 150] [--size 640x480] [--topic TOPIC] [--rounds 3]

Without recordings, they are made as in reading.py. "tracker" is the default model with one object over images that are
held in memory; "run" is everything: reading, decoding, tracking, storing masklets, and writing the bag with the
original messages. Both take turns; medians of the rounds. Times are of an image, in ms: on the wall and, in brackets,
of the processor over all threads.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from statistics import median

from reading import Timed, make
from rich.console import Console
from rich.table import Table

from sam2_ros.checkpoints.load import load_model
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.outputs.outputs import FORMATS, write_outputs
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.recordings.recording import Recording
from sam2_ros.recordings.track import track
from sam2_ros.tracking.prompt import Click, Prompt
from sam2_ros.tracking.tracker import Tracker


def tracked(recording: Recording, prompt: Prompt, tracker: Tracker) -> Timed:
    """The tracker alone."""
    images = list(recording.images())
    tracker.reset()
    with Timed() as timed:
        for image in images:
            tracker.step(image.pixels, image.stamp)
            if image.index == 0:
                tracker.prompt(prompt)
    return timed


def run(recording: Recording, prompts: list[ScheduledPrompt], tracker: Tracker, out: Path) -> Timed:
    """Everything, into an empty folder."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    with Timed() as timed, MaskletStore(out / "masklets.db", {}) as store:
        track(recording, prompts, tracker, store, backward=False)
        write_outputs(recording, store, prompts, out, ["bag"])
    return timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--images", type=int, default=150, help="in each of those that are made")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--topic", help="of the images in bags")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    table = Table("recording", "tracker", "run", "", *FORMATS)
    tracker = Tracker(load_model(), history=1)
    with tempfile.TemporaryDirectory() as folder:
        for path in options.recordings or make(Path(folder), options):
            recording = open_recording(path, options.topic)
            count, out = len(recording), Path(folder) / "out"
            height, width = next(recording.images()).pixels.shape[:2]
            prompt = Prompt(1, (Click(width / 2, height / 2),))
            prompts = [ScheduledPrompt(0, prompt)]
            alone, whole = [], []
            for _ in range(options.rounds):
                alone.append(tracked(recording, prompt, tracker))
                whole.append(run(recording, prompts, tracker, out))
            written = []
            with MaskletStore(out / "masklets.db", {}) as store:
                for name in FORMATS:
                    shutil.rmtree(out / name, ignore_errors=True)
                    with Timed() as timed:
                        write_outputs(recording, store, prompts, out, [name])
                    written.append(timed.per_image(count))
            share = median(one.wall for one in whole) / median(one.wall for one in alone) - 1
            middle = [sorted(times, key=lambda one: one.wall)[len(times) // 2] for times in (alone, whole)]
            table.add_row(path.name, *(one.per_image(count) for one in middle), f"{100 * share:+.0f} %", *written)
    Console().print(table)


if __name__ == "__main__":
    main()
