"""Cost of tracking a recording beside tracking alone: python benchmarks/recordings.py [--images 40] [--rounds 5]

The same images as a bag of raw images, a bag of JPEGs, and a video. In each round the tracker alone (images in memory),
the passes over the recording (reading, decoding and storing included), and the output bag are timed one after the
other; medians of the rounds' ratios are printed. CPU: the processor's time of all threads instead of the wall's, which
other programs disturb less, but which also counts what is done on cores that would be idle.

With --memory: resident memory of a process that tracks --images (20000) small images of a bag with a small network,
prompts every 50 images, and that then writes the output bag. It takes ten minutes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from memory import memory_in_use
from rosbags.rosbag2 import StoragePlugin, Writer

from sam2_ros.checkpoints.load import load_model
from sam2_ros.data.bag_types import IMAGES, typestore
from sam2_ros.data.video_writer import VideoWriter
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.outputs.outputs import write_outputs
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.recordings.recording import regular_stamps
from sam2_ros.recordings.track import track
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.tracking.prompt import Box, Click, Prompt
from sam2_ros.tracking.tracker import Tracker

SCENE = 24
"""Images of a synthetic scene; it is played forwards and backwards."""


def bag_of(frames: Iterator[np.ndarray], count: int, path: Path, jpeg: bool) -> Path:
    store = typestore()
    types, name = store.types, IMAGES[jpeg]
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topic = writer.add_connection("/camera/image_raw" + "/compressed" * jpeg, name, typestore=store)
        for stamp, frame in zip(regular_stamps(count, 30.0), frames, strict=True):
            when = types["builtin_interfaces/msg/Time"](*divmod(stamp, 1_000_000_000))
            header = types["std_msgs/msg/Header"](when, "camera")
            if jpeg:
                data = cv2.imencode(".jpg", frame[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 95))[1]
                message = types[name](header, "jpeg", data)
            else:
                height, width = frame.shape[:2]
                message = types[name](header, height, width, "rgb8", 0, 3 * width, frame.reshape(-1))
            writer.write(topic, stamp, store.serialize_cdr(message, name))
    return path


def video_of(frames: Iterator[np.ndarray], path: Path) -> Path:
    with VideoWriter(path, 30.0) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def played(scene: list[np.ndarray], count: int) -> Iterator[np.ndarray]:
    there_and_back = [*scene, *scene[-2:0:-1]]
    return (there_and_back[index % len(there_and_back)] for index in range(count))


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the wall's clock, and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def rates(folder: Path, options: argparse.Namespace) -> None:
    height, width = options.size
    settings = SceneSettings(height, width, frames=SCENE, objects=(options.objects, 9), leaving=0)
    clip = SyntheticScenes(settings).scene(0)
    scene = [np.ascontiguousarray(frame) for frame in clip.frames]
    model = load_model(options.model, device=options.device)
    tracker = Tracker(model, history=1, max_objects=options.objects)
    prompts = []
    for row in range(options.objects):
        rows, columns = np.nonzero(clip.masks[0][row])
        box = Box.from_corners(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        prompts.append(ScheduledPrompt(0, Prompt(row + 1, box=box)))

    sources = {
        "raw bag": bag_of(played(scene, options.images), options.images, folder / "raw", jpeg=False),
        "JPEG bag": bag_of(played(scene, options.images), options.images, folder / "jpeg", jpeg=True),
        "video": video_of(played(scene, options.images), folder / "clip.mp4"),
    }
    print(f"{options.images} images of {width}x{height}, {options.objects} objects, {options.rounds} rounds")
    print("             images/s of         more time than the tracker alone (CPU)")
    print("source       tracker  passes     passes            passes and output bag")
    for name, path in sources.items():
        recording = open_recording(path)
        images = [image.pixels for image in recording.images()]

        def alone(images: list[np.ndarray] = images) -> None:
            tracker.reset()
            for index, pixels in enumerate(images):
                tracker.step(pixels)
                for scheduled in prompts if index == 0 else ():
                    tracker.prompt(scheduled.prompt)

        rows = []
        for number in range(options.rounds + 1):
            out = folder / f"{path.name}-{number}"
            out.mkdir()
            with MaskletStore(out / "masklets.db", {}) as store:
                first = timed(alone)
                # Prompted images are read once more, to check the prompts: a constant, which is measured, too.
                passes = timed(lambda: track(recording, prompts, tracker, store))  # noqa: B023
                written = timed(lambda: write_outputs(recording, store, prompts, out, ["bag"]))  # noqa: B023
            if number:  # the first round warms up
                rows.append((first, passes, tuple(map(sum, zip(passes, written, strict=True)))))
        alone_rate, passes_rate = (len(images) / statistics.median(row[part][0] for row in rows) for part in (0, 1))
        costs = [
            100 * (statistics.median(row[part][clock] / row[0][clock] for row in rows) - 1)
            for part in (1, 2)
            for clock in (0, 1)
        ]
        print(
            f"{name:<11}  {alone_rate:7.2f}  {passes_rate:6.2f}     {costs[0]:+5.1f} % ({costs[1]:+5.1f} %)"
            f"   {costs[2]:+5.1f} % ({costs[3]:+5.1f} %)",
            flush=True,
        )


def memory(folder: Path, options: argparse.Namespace) -> float:
    """Prints resident memory along the way; returns its growth after the first twentieth, MB."""
    clip = SyntheticScenes(SceneSettings(96, 128, frames=SCENE, objects=(2, 9), leaving=0)).scene(0)
    scene = [np.ascontiguousarray(frame) for frame in clip.frames]
    path = bag_of(played(scene, options.images), options.images, folder / "bag", jpeg=True)
    torch.manual_seed(0)
    model = SAM2(CONFIGS["default"].at(64)).eval()
    torch.nn.init.constant_(model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias, 6.0)
    recording, tracker = open_recording(path), Tracker(model, history=1, max_objects=options.objects)
    prompts = [
        ScheduledPrompt(frame, Prompt(1 + frame // 50 % options.objects, clicks=[Click(40.0, 40.0)]))
        for frame in range(0, options.images, 50)
    ]
    points: list[tuple[int, float]] = []
    print("images  resident MB", flush=True)

    def sample(done: int, total: int, what: str) -> None:
        if done in (100, 500) or done % max(1, options.images // 20) == 0:
            points.append((done, memory_in_use(model)[0]))
            print(f"{done:6d}  {points[-1][1]:11.1f}  {what}", flush=True)

    (folder / "out").mkdir()
    with MaskletStore(folder / "out" / "masklets.db", {}) as store:
        track(recording, prompts, tracker, store, on_progress=sample)
        write_outputs(recording, store, prompts, folder / "out", ["bag"])
    print(f"{'':6}  {memory_in_use(model)[0]:11.1f}  output bag written")
    settled = next(used for done, used in points if done >= options.images // 20)
    growth = points[-1][1] - settled
    print(f"growth after the first twentieth: {growth:+.1f} MB")
    return growth


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, help="number of images (40; with --memory 20000)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--objects", type=int, default=2)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--model", choices=CONFIGS)
    parser.add_argument("--device")
    parser.add_argument("--memory", action="store_true", help="resident memory instead of rates")
    options = parser.parse_args()
    options.images = options.images or (20_000 if options.memory else 40)
    with tempfile.TemporaryDirectory() as folder:
        if options.memory:
            return int(memory(Path(folder), options) > 30)
        rates(Path(folder), options)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    sys.exit(main())
