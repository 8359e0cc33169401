"""Effect of half precision on masks: python benchmarks/precision.py VIDEO ... [--frames 100] [--model NAME]

Each video, or folder of pictures, is tracked twice, in float32 and in the half precision that the node takes on a GPU
(or --dtype), from the same clicks: one at the middle of the first frame, one to its left, one to its right. Printed is
the IoU of the two masks, over all frames on which either is present: a mask that never recovers from one wrong pixel
counts on every frame from there on.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sam2_ros.checkpoints.load import load_model
from sam2_ros.data.image_sequence import ImageFiles
from sam2_ros.data.video_reader import VideoReader
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2
from sam2_ros.tracking.prompt import Click, Prompt
from sam2_ros.tracking.tracker import Tracker

COLUMNS = (0.5, 0.3, 0.7)


def agreement(video: Path, model: SAM2, dtype: torch.dtype, frames: int, accelerate: bool) -> np.ndarray:
    """IoU of the masks of each object: [objects, frames]; NaN where it is present in neither."""
    trackers = Tracker(model, dtype=torch.float32), Tracker(model, dtype=dtype, accelerate=accelerate)
    rows = []
    with nullcontext(ImageFiles.of(video)) if video.is_dir() else VideoReader(video) as reader:
        for index, image in enumerate(track(islice(reader, frames), video.name, total=frames, transient=True)):
            for tracker in trackers:
                tracker.step(image, index)
                if index == 0:
                    height, width = image.shape[:2]
                    for column in COLUMNS:
                        tracker.prompt(Prompt(clicks=(Click(column * width, 0.5 * height),)))
            plain, half = ([masklet.mask for masklet in tracker.newest.masklets] for tracker in trackers)
            rows.append([_iou(a, b) for a, b in zip(plain, half, strict=True)])
    return np.array(rows).T


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else np.nan


def _spread(values: np.ndarray) -> tuple[str, str]:
    return f"{np.nanmedian(values):.3f}", f"{np.nanmin(values):.3f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, nargs="+", metavar="VIDEO")
    parser.add_argument("--frames", type=int, default=100, help="at most, of each video")
    parser.add_argument("--model", choices=CONFIGS)
    parser.add_argument("--checkpoint")
    parser.add_argument("--size", type=int, metavar="N", help="input size: about N x N pixels; default: the model's")
    parser.add_argument("--aspect", metavar="W:H", help="of the input; default: the model's")
    parser.add_argument("--device")
    parser.add_argument("--dtype", choices=("bfloat16", "float16"), help="default: the model's own")
    parser.add_argument("--plain", action="store_true", help="half precision with accelerate=False")
    options = parser.parse_args()
    for video in options.videos:  # before the others take minutes
        if not video.exists():
            parser.error(f"{video}: no such video file or folder of images")
    model = load_model(options.model, options.checkpoint, options.device, options.size, options.aspect)
    dtype = options.dtype or model.config.half
    table = Table(f"{model.config.name} on {model.device}, {dtype}", box=None, padding=(0, 2, 0, 0))
    for column in ("frames", "mean IoU with float32", "of each object", "median", "worst frame"):
        table.add_column(column, justify="right")
    everything = []
    for video in options.videos:
        ious = agreement(video, model, getattr(torch, dtype), options.frames, not options.plain)
        everything.append(ious.ravel())
        each = ", ".join(f"{value:.3f}" for value in np.nanmean(ious, axis=1))
        table.add_row(video.name, str(ious.shape[1]), f"{np.nanmean(ious):.3f}", each, *_spread(ious))
    total = np.concatenate(everything)
    table.add_row("all", "", f"{np.nanmean(total):.3f}", "", *_spread(total), style="bold")
    Console(width=max(Console().width, 110)).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
