"""Bytes of recorded masks: ours, label images and mono8 masks, raw and as PNG, in real bags compressed with zstd.

    python benchmarks/recorded_bytes.py [--seconds 60] [--objects 3] [--size 1280x720] [--tracked 75]

The masks are the true ones of generated scenes, a new scene every 2.5 s; the messages are those that the node publishes
for them. What was tracked instead of true is compared on the first frames (--tracked): the masks of the default model
after one click on each object. No network, no GPU.
"""

from __future__ import annotations

import argparse
import array
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, count, islice
from pathlib import Path

import cv2
import numpy as np
from rclpy.serialization import serialize_message
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.checkpoints.load import load_model
from sam2_ros.data.bag_writer import BagWriter
from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.vos import follow
from sam2_ros.ros import masklets
from sam2_ros.ros.definitions import definition
from sam2_ros.ros.images import to_message
from sam2_ros.ros.label_images import label_image
from sam2_ros.ros.stamps import time_message
from sam2_ros.scenes.rendering import Film
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes, areas
from sam2_ros.tracking.masklet import BOX_MIN_PART, Frame, Masklet
from sam2_ros.tracking.tracker import Tracker

FIRST_SEED = 900_000_000_000
"""First seed of the scenes; training uses lower ones."""
CLIP_SECONDS = 2.5
START = 1_700_000_000_000_000_000  # ns
OURS, LABELS, LABELS_PNG, MASKS, MASKS_PNG = "masklets", "labels", "labels, PNG", "mono8 masks", "mono8 masks, PNG"


@dataclass
class Recording:
    """One kind of messages in a bag of its own."""

    bag: BagWriter
    published: int = 0
    """Bytes of all messages, as they go over the network."""
    topics: dict[str, int] = field(default_factory=dict)

    def write(self, topic: str, stamp: int, message: msg.MaskletArray | Image | CompressedImage) -> None:
        if topic not in self.topics:
            package = "sam2_ros" if isinstance(message, msg.MaskletArray) else "sensor_msgs"
            kind = f"{package}/msg/{type(message).__name__}"
            text, type_hash = definition(kind)
            self.topics[topic] = self.bag.add_topic(topic, kind, text, type_hash, [])
        data = serialize_message(message)
        self.published += len(data)
        self.bag.write(self.topics[topic], stamp, data)


def films(options: argparse.Namespace) -> Iterator[Film]:
    """Scenes of CLIP_SECONDS without end, in each of which all objects are visible at first."""
    width, height = map(int, options.size.split("x"))
    objects = options.objects, options.objects
    frames = round(CLIP_SECONDS * options.rate)
    settings = SceneSettings(height, width, frames, options.rate, objects, size=(0.25, 0.9), leaving=0)
    for seed in count(FIRST_SEED):
        film = SyntheticScenes(settings).film(seed)
        if np.all(areas(film.label(0))[: options.objects]):
            yield film


def masks_of(film: Film, options: argparse.Namespace) -> Iterator[np.ndarray]:
    """The masks of each frame, bool [N, H, W]."""
    ids = np.arange(1, options.objects + 1, dtype=np.uint8)[:, None, None]
    return (film.label(index)[None] == ids for index in range(len(film)))


def frame_of(masks: np.ndarray, stamp: int) -> Frame:
    """The frame that a tracker without faults would give."""
    shown = [
        Masklet(number, "thing", bool(mask.any()), float(mask.any()), 1.0, mask, BOX_MIN_PART)
        for number, mask in enumerate(masks, 1)
    ]
    return Frame(stamp, *masks.shape[1:], tuple(shown))


def png(pixels: np.ndarray, encoding: str, header: Header) -> CompressedImage:
    """As image_transport's compressed publisher makes it, at its default level."""
    data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1]
    return CompressedImage(header=header, format=f"{encoding}; png compressed ", data=array.array("B", data.tobytes()))


def record(frame: Frame, recordings: dict[str, Recording]) -> None:
    header, stamp = Header(stamp=time_message(frame.stamp), frame_id="camera_color_optical_frame"), frame.stamp
    labels = label_image(frame)
    recordings[OURS].write("/sam2/masklets", stamp, masklets.to_array(frame, header))
    recordings[LABELS].write("/sam2/labels", stamp, to_message(labels, "mono16", header))
    recordings[LABELS_PNG].write("/sam2/labels/compressed", stamp, png(labels, "mono16", header))
    for masklet in frame.masklets:
        topic, pixels = f"/sam2/masks/object_{masklet.object_id}", masklet.mask.view(np.uint8) * np.uint8(255)
        recordings[MASKS].write(topic, stamp, to_message(pixels, "mono8", header))
        recordings[MASKS_PNG].write(f"{topic}/compressed", stamp, png(pixels, "mono8", header))


def compare_tracked(film: Film, options: argparse.Namespace, console: Console) -> None:
    """Print the bytes of our messages for true masks and for those of the default model."""
    header = Header(frame_id="camera_color_optical_frame")
    masks = list(islice(masks_of(film, options), options.tracked))
    truth = [len(serialize_message(masklets.to_array(frame_of(each, START), header))) for each in masks]
    images, ids = [film[index][0] for index in range(len(masks))], tuple(range(1, options.objects + 1))
    answers = follow(Tracker(load_model()), Clip("first", images, ids, masks, options.rate), ["click"])
    tracked = [
        len(serialize_message(masklets.to_array(answer["click"], header)))
        for answer in track(answers, "tracking", len(images), transient=True)
    ]
    console.print(
        f"kB a message on the first {len(masks)} images: true masks {np.mean(truth) / 1e3:.1f}, tracked by the default"
        f" model {np.mean(tracked) / 1e3:.1f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the recording (%(default)s)")
    parser.add_argument("--rate", type=float, default=30.0, help="images per second (%(default)s)")
    parser.add_argument("--size", default="1280x720", metavar="WxH", help="of the images, pixels (%(default)s)")
    parser.add_argument("--objects", type=int, default=3, help="in each image (%(default)s)")
    parser.add_argument("--tracked", type=int, default=75, metavar="FRAMES", help="to track as well (%(default)s)")
    options = parser.parse_args()
    console = Console()
    wanted, areas_seen = round(options.seconds * options.rate), []
    masks = chain.from_iterable(masks_of(film, options) for film in films(options))
    with tempfile.TemporaryDirectory() as folder:
        names = OURS, LABELS, LABELS_PNG, MASKS, MASKS_PNG
        recordings = {name: Recording(BagWriter(Path(folder, name.replace(" ", "_")))) for name in names}
        for index, each in enumerate(track(islice(masks, wanted), "recording", wanted, transient=True)):
            record(frame_of(each, START + round(index * 1e9 / options.rate)), recordings)
            areas_seen += [area for area in each.mean((1, 2)) if area]
        for recording in recordings.values():
            recording.bag.close()
        table = Table(title=f"{wanted} images of {options.size}, {options.objects} objects")
        for column in ("", "MB published", "kB an image", "MB in a bag", "times ours"):
            table.add_column(column, justify="right" if column else "left")
        ours = recordings[OURS].bag.size
        for name, recording in recordings.items():
            size = recording.bag.size
            cells = f"{recording.published / 1e6:,.1f}", f"{recording.published / wanted / 1e3:,.1f}"
            table.add_row(name, *cells, f"{size / 1e6:,.2f}", f"{size / ours:.1f}")
    console.print(table)
    share, seen = 100 * np.mean(areas_seen), 100 * len(areas_seen) / (wanted * options.objects)
    console.print(
        f"A visible object covers {share:.1f} % of the image on average; {seen:.0f} % of the masks are not empty"
    )
    if options.tracked:
        compare_tracked(next(films(options)), options, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
