"""What each output of a finished run costs.

    python benchmarks/outputs.py [RECORDING ...] [--images 300] [--size 1280x720] [--objects 4] [--topic TOPIC]

Without recordings, they are made as in reading.py. The masklets are ellipses that move. Times are of an image, in ms:
on the wall and, in brackets, of the processor over all threads. recordings.py says what a whole run costs beside its
tracker.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
from reading import Timed, make
from rich.console import Console
from rich.table import Table

from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.outputs.outputs import FORMATS, SHEET, write_outputs
from sam2_ros.recordings.recording import Recording
from sam2_ros.tracking.masklet import BOX_MIN_PART, Masklet


def fill(store: MaskletStore, recording: Recording, objects: int) -> None:
    """Store masklets of objects on all images."""
    for object_id in range(1, objects + 1):
        store.add_object(object_id, f"ellipse {object_id}", 0)
    for image in recording.images():
        height, width = image.pixels.shape[:2]
        store.add_frame(image.index, image.stamp, height, width)
        masklets = []
        for object_id in range(1, objects + 1):
            centre = (round(width * object_id / (objects + 1)), round(height * (0.5 + 0.2 * np.sin(image.index / 9))))
            mask = cv2.ellipse(
                np.zeros((height, width), np.uint8), centre, (width // 16, height // 6), image.index, 0, 360, 1, -1
            )
            masklets.append(Masklet(object_id, "", True, 0.98, 0.9, mask.view(bool), BOX_MIN_PART))
        store.add(image.index, masklets)
    store.commit("forwards", len(recording), done=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--images", type=int, default=300, help="in each of those that are made")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--objects", type=int, default=4)
    parser.add_argument("--topic", help="of the images in bags")
    options = parser.parse_args()
    table = Table("recording", "images", *FORMATS, SHEET.name + ", s")
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(options.recordings or make(Path(folder), options)):
            recording, out = open_recording(path, options.topic), Path(folder) / f"out{number}"
            out.mkdir()
            with MaskletStore(out / "masklets.db", {}) as store:
                fill(store, recording, options.objects)
                with Timed() as sheet:
                    write_outputs(recording, store, [], out, [])
                times = []
                for name in FORMATS:
                    with Timed() as timed:
                        write_outputs(recording, store, [], out, [name])
                    times.append(timed.per_image(store.frame_count))
                table.add_row(path.name, str(store.frame_count), *times, f"{sheet.wall:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
