"""What reading a recording costs: opening, both directions, and beside the tracker.

    python benchmarks/reading.py [RECORDING ...] [--images 300] [--size 640x480] [--topic TOPIC]

Without recordings, they are made from a generated scene: a bag of raw images (zstd), one of JPEGs, one in SQLite, and
a video. Times are of an image, in ms: on the wall and, in brackets, of the processor over all threads. "tracked" is the
default model with one object: images held in memory, and images that are read meanwhile, in turns of 25.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from sam2_ros.checkpoints.load import load_model
from sam2_ros.data import bag
from sam2_ros.data.bag_types import IMAGES, typestore
from sam2_ros.data.bag_writer import BagWriter
from sam2_ros.data.clip import Clip
from sam2_ros.data.video_writer import VideoWriter
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.recording import RecordedImage, Recording
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.tracking.prompt import Click, Prompt
from sam2_ros.tracking.tracker import Tracker

SEED = 900_000_000_000
"""Of the scene; training uses lower ones."""
TURN = 25


def make(folder: Path, options: argparse.Namespace) -> list[Path]:
    """Recordings of all kinds in a folder."""
    width, height = map(int, options.size.split("x"))
    film = SyntheticScenes(SceneSettings(height, width, 60, 30.0)).film(SEED)
    noise = np.random.default_rng(0).integers(-3, 4, (height, width, 3), np.int8)  # as of a sensor
    scene = [np.clip(film[index][0].astype(np.int16) + noise, 0, 255).astype(np.uint8) for index in range(60)]
    frames = [scene[index % 60] for index in range(options.images)]
    bag.write(Clip("sqlite", frames, (), [None] * len(frames), 30.0), folder / "sqlite", storage="sqlite3")
    store = typestore()
    writers = [BagWriter(folder / name) for name in ("raw", "jpeg")]
    topics = [
        writer.add_topic("/camera/image_raw", kind, store.generate_msgdef(kind)[0], "", [])
        for writer, kind in zip(writers, IMAGES, strict=True)
    ]
    with VideoWriter(folder / "video.mp4", 30.0) as video:
        for index, frame in enumerate(frames):
            stamp = 10**9 + index * 33_333_333
            moment = store.types["builtin_interfaces/msg/Time"](*divmod(stamp, 10**9))
            header = store.types["std_msgs/msg/Header"](moment, "camera")
            jpeg = cv2.imencode(".jpg", frame[..., ::-1])[1].ravel()
            messages = (
                store.types[IMAGES[0]](header, height, width, "rgb8", 0, 3 * width, frame.reshape(-1)),
                store.types[IMAGES[1]](header, "rgb8; jpeg compressed bgr8", jpeg),
            )
            for writer, topic, message, kind in zip(writers, topics, messages, IMAGES, strict=True):
                writer.write(topic, stamp, bytes(store.serialize_cdr(message, kind)))
            video.write(frame)
    for writer in writers:
        writer.close()
    return [folder / "raw", folder / "jpeg", folder / "sqlite", folder / "video.mp4"]


class Timed:
    """Wall and processor time of a block, s."""

    def __enter__(self) -> Timed:
        self._start = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self._start[0], time.process_time() - self._start[1]

    def per_image(self, count: int) -> str:
        return f"{1e3 * self.wall / count:.2f} ({1e3 * self.cpu / count:.2f})"


def tracked(recording: Recording, tracker: Tracker) -> tuple[float, float]:
    """Median seconds of an image that is held in memory, and of one that is read while they are tracked."""
    images = recording.images()
    first = next(images)
    height, width = first.pixels.shape[:2]
    tracker.reset()
    tracker.step(first.pixels, first.stamp)
    tracker.prompt(Prompt(clicks=(Click(width / 2, height / 2),)))
    held: list[float] = []
    read: list[float] = []
    for _ in range((len(recording) - 1) // (2 * TURN)):
        held.append(_seconds(iter(list(islice(images, TURN))), tracker))
        read.append(_seconds(islice(images, TURN), tracker))
    return median(held), median(read)


def _seconds(images: Iterator[RecordedImage], tracker: Tracker) -> float:
    """Mean seconds of an image."""
    with Timed() as timed:
        count = sum(1 for image in images if tracker.step(image.pixels, image.stamp))
    return timed.wall / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--images", type=int, default=300, help="in each of those that are made")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--topic", help="of the images in bags")
    options = parser.parse_args()
    table = Table("recording", "images", "open", "forwards", "backwards", "tracked: held", "read", "share")
    tracker = Tracker(load_model(), history=1)
    with tempfile.TemporaryDirectory() as folder:
        for path in options.recordings or make(Path(folder), options):
            with Timed() as opening:
                recording = open_recording(path, options.topic)
            count = len(recording)
            with Timed() as forwards:
                for _ in recording.images():
                    pass
            with Timed() as backwards:
                for _ in recording.images_backwards(count - 1):
                    pass
            held, read = tracked(recording, tracker)
            times = [timed.per_image(count) for timed in (opening, forwards, backwards)]
            share = f"{100 * (read / held - 1):+.0f} %"
            table.add_row(path.name, str(count), *times, f"{1e3 * held:.1f}", f"{1e3 * read:.1f}", share)
    Console().print(table)


if __name__ == "__main__":
    main()
