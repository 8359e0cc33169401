"""Quality of weights on generated scenes that are held out from training; quicker than the suite or real videos.

    python benchmarks/held_out.py [WEIGHTS ...] [--pictures STORE] [--clips 20] [--frames 48] [--scene 640x480]

Each object is clicked once in its centre where it first appears. Mean J (0 .. 1) over frames on which it is visible, 0
where it is predicted to be absent: of the answer to the click, on later frames until it is absent for the first time,
and after that; and the share of frames without it on which it is predicted to be absent.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sam2_ros.checkpoints.load import load_model
from sam2_ros.evaluation.region_boundary import region_similarity
from sam2_ros.evaluation.vos import follow
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.synthetic import Scenes, SceneSettings, SyntheticScenes
from sam2_ros.scenes.table_scenes import TableScenes
from sam2_ros.tracking.tracker import Tracker

FIRST_SEED = 900_000_000_000
"""First seed of the scenes; training uses lower ones."""
COLUMNS = ("answer to the click", "until absent", "after", "absent called absent")


def judge(tracker: Tracker, scenes: Scenes, clips: int, name: str) -> dict[str, float]:
    """The mean of each column."""
    values: dict[str, list[float]] = defaultdict(list)
    for seed in track(range(FIRST_SEED, FIRST_SEED + clips), name, transient=True):
        clip = scenes.scene(seed)
        prompted, absent_before = set(), set()
        for masks, answers in zip(clip.masks, follow(tracker, clip, ["click"]), strict=True):
            for object_id, truth in zip(clip.object_ids, masks, strict=True):
                answer = answers["click"].masklet(object_id)
                if answer is None:
                    continue
                if not truth.any():
                    absent_before.add(object_id)
                    values[COLUMNS[3]].append(not answer.present)
                    continue
                column = 0 if object_id not in prompted else 2 if object_id in absent_before else 1
                values[COLUMNS[column]].append(region_similarity(answer.mask, truth))
                prompted.add(object_id)
    return {column: float(np.mean(values[column])) if values[column] else float("nan") for column in COLUMNS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="*", type=Path, metavar="WEIGHTS", help="default: the shipped ones")
    parser.add_argument("--pictures", help="a store of sam2_ros.scenes.pictures; without it scenes are procedural")
    parser.add_argument("--clips", type=int, default=20, help="of each kind (%(default)s)")
    parser.add_argument("--frames", type=int, default=48, help="of a clip (%(default)s)")
    parser.add_argument("--scene", default="256x256", metavar="WxH", help="size of the scenes, pixels (%(default)s)")
    parser.add_argument("--size", type=int, metavar="N", help="input size: about N x N pixels; default: the model's")
    parser.add_argument("--aspect", metavar="W:H", help="of the input; default: the model's")
    options = parser.parse_args()
    width, height = map(int, options.scene.split("x"))
    settings = SceneSettings(height, width, frames=options.frames, objects=(2, 4), vanishing=0.25)
    pictures = Pictures.open(options.pictures) if options.pictures else None
    kinds = {"tables": TableScenes(settings, pictures), "scenes": SyntheticScenes(settings, pictures)}
    table = Table("weights", "clips", *COLUMNS)
    for weights in options.weights or [None]:
        tracker = Tracker(load_model(checkpoint=weights, image_size=options.size, aspect=options.aspect))
        for kind, scenes in kinds.items():
            row = judge(tracker, scenes, options.clips, f"{weights or 'shipped'}, {kind}")
            table.add_row(str(weights or "shipped"), kind, *(f"{row[column]:.3f}" for column in COLUMNS))
    console = Console()
    console.width = max(console.width, 110)  # names in a file would be cut
    console.print(table)


if __name__ == "__main__":
    main()
