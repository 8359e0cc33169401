"""IoU of masklets' boxes with true ones, by `box_min_part`: the smallest part of a mask that its box encloses.

    python benchmarks/boxes.py [WEIGHTS] [--clips 8] [--frames 24] [--scene 640x480] [--prompt click mask]

Objects of generated scenes are prompted where they first appear. Mean IoU (0 .. 1) of the box with that of the true
mask, over later frames on which both are present; and over those on which the mask has several parts. "Of true masks"
is the cost of leaving out parts of a perfect mask: the IoU of its box with the box of its enclosed parts.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sam2_ros.checkpoints.load import load_model
from sam2_ros.evaluation.vos import follow
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.scenes.table_scenes import TableScenes
from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.prompt import Box
from sam2_ros.tracking.tracker import Tracker

FIRST_SEED = 900_000_000_000
"""First seed of the scenes; training uses lower ones."""
SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, 0 .. 1."""
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    common = max(width, 0) * max(height, 0)
    return common / (a.width * a.height + b.width * b.height - common)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", type=Path, metavar="WEIGHTS", help="default: the shipped ones")
    parser.add_argument("--clips", type=int, default=8, help="of each kind (%(default)s)")
    parser.add_argument("--frames", type=int, default=24, help="of a clip (%(default)s)")
    parser.add_argument("--scene", default="640x480", metavar="WxH", help="size of the scenes, pixels (%(default)s)")
    parser.add_argument("--prompt", nargs="+", default=["click", "mask"], help="click, box, mask (click mask)")
    options = parser.parse_args()
    width, height = map(int, options.scene.split("x"))
    settings = SceneSettings(height, width, frames=options.frames, objects=(2, 4), vanishing=0.25)
    tracker = Tracker(load_model(checkpoint=options.weights))
    fits: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for kind, scenes in {"tables": TableScenes(settings), "scenes": SyntheticScenes(settings)}.items():
        for seed in track(range(FIRST_SEED, FIRST_SEED + options.clips), kind, transient=True):
            clip = scenes.scene(seed)
            prompted: set[int] = set()
            for masks, answers in zip(clip.masks, follow(tracker, clip, options.prompt), strict=True):
                for object_id, truth in zip(clip.object_ids, masks, strict=True):
                    later = object_id in prompted
                    if truth.any():
                        prompted.add(object_id)
                        perfect = Masklet(object_id, "", True, 1.0, 1.0, truth)
                        for share in SHARES:
                            box = replace(perfect, box_min_part=share).box
                            fits["of true masks"][share].append(overlap(box, perfect.box))
                    for prompt, frame in answers.items():
                        masklet = frame.masklet(object_id)
                        if later and truth.any() and masklet is not None and masklet.present:
                            has_parts = cv2.connectedComponents(masklet.mask.view(np.uint8))[0] > 2
                            for share in SHARES:
                                fit = overlap(replace(masklet, box_min_part=share).box, perfect.box)
                                fits[f"{kind}, {prompt}"][share].append(fit)
                                if has_parts:
                                    fits["several parts"][share].append(fit)
    table = Table("", "boxes", *(f"{share:g}" for share in SHARES))
    for name, by_share in fits.items():
        values = [by_share[share] for share in SHARES]
        table.add_row(name, str(len(values[0])), *(f"{np.mean(fit):.3f}" for fit in values))
    console = Console()
    console.width = max(console.width, 110)  # numbers in a file would be cut
    console.print(table)


if __name__ == "__main__":
    main()
