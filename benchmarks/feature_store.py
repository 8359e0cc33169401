"""Image features in the later passes of automatic masklets: kept on disk, or computed again?

    python benchmarks/feature_store.py [MODEL ...] [--objects 8] [--images 8] [--image 640x480] [--folder FOLDER]

Medians, ms an image: to encode it; to read its features from disk (the system's cache of the file is dropped first);
to write them, once; and to track objects on it with full memories. "Saved" is the share of a pass's time that reading
instead of encoding saves, for passes with so many objects. The weights are random: time does not depend on them.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2, ImageFeatures
from sam2_ros.tracking.encoded_image import EncodedImage
from sam2_ros.tracking.prompt import Prompt
from sam2_ros.tracking.tracker import Tracker


def write(features: ImageFeatures, file: Path) -> None:
    """Write raw values, and wait for the disk."""
    with file.open("wb") as out:
        for tensor in vars(features).values():
            out.write(tensor.contiguous().numpy().tobytes())
        out.flush()
        os.fsync(out.fileno())


def read(like: ImageFeatures, file: Path) -> ImageFeatures:
    with file.open("rb") as stream:
        tensors = {}
        for name, tensor in vars(like).items():
            data = bytearray(stream.read(tensor.nbytes))
            tensors[name] = torch.frombuffer(data, dtype=tensor.dtype).view(tensor.shape)
    return ImageFeatures(**tensors)


def forget(file: Path) -> None:
    """Drop the system's cache of a file."""
    descriptor = os.open(file, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def measure(tracker: Tracker, image: np.ndarray, file: Path) -> tuple[float, float, float, float]:
    """ms to encode an image, to write and to read its features, and to track all objects on it."""
    clock = time.perf_counter
    moments = [clock()]
    encoded = tracker.encode(image)
    moments.append(clock())
    write(encoded.features, file)
    forget(file)
    moments.append(clock())
    stored = read(encoded.features, file)
    moments.append(clock())
    tracker.step(EncodedImage(encoded.height, encoded.width, stored))
    moments.append(clock())
    assert all(torch.equal(x, y) for x, y in zip(vars(stored).values(), vars(encoded.features).values(), strict=True))
    encode, wrote, took, track = 1000 * np.diff(moments)
    return encode, wrote, took, track


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", default=["default", "sam2.1_hiera_tiny"])
    parser.add_argument("--objects", type=int, default=8, help="that are tracked (%(default)s)")
    parser.add_argument("--images", type=int, default=8, help="of which medians are taken (%(default)s)")
    parser.add_argument("--image", default="640x480", metavar="WxH", help="pixels (%(default)s)")
    parser.add_argument("--folder", type=Path, help="on the disk that is measured (default: that of temporary files)")
    options = parser.parse_args()
    width, height = map(int, options.image.split("x"))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (height, width, 3), np.uint8)
    table = Table("model", "MB", "encode", "read", "write", "an object", "saved, 1 object", "8", "32")
    for name in options.models:
        torch.manual_seed(0)
        tracker = Tracker(SAM2(CONFIGS[name]).eval(), history=1, max_objects=options.objects)
        tracker.step(image)
        for i in range(options.objects):
            mask = np.zeros((height, width), bool)
            mask[: height // 2, width * i // options.objects :][:, : width // 8] = True
            tracker.prompt(Prompt(mask=mask))
        for _ in range(tracker.network.config.recent_memories + 1):
            tracker.step(image)
        with TemporaryDirectory(dir=options.folder) as folder:
            file = Path(folder) / "features"
            runs = [measure(tracker, image, file) for _ in range(options.images)]
        encode, wrote, took, track = np.median(runs, axis=0)
        one = track / options.objects
        saved = [f"{(encode - took) / (encode + n * one):.0%}" for n in (1, 8, 32)]
        size = sum(tensor.nbytes for tensor in vars(tracker.encode(image).features).values()) / 1e6
        numbers = (size, encode, took, wrote, one)
        table.add_row(name, *(f"{number:.1f}" for number in numbers), *saved)
    Console().print(table)


if __name__ == "__main__":
    main()
