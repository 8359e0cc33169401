"""Effect of fine-tuning on a robot's recordings: python benchmarks/fine_tuning.py OUT [--minutes 12] [--lr ...]

A user's way, with a simulator in place of the robot: writes bags of camera images and true masks, holds some of them
out, and runs the commands of docs/training.md, starting from the default model. Unknown options are passed to the
training. Prints J&F with one click before and after, on the held-out bags and on the synthetic suite (forgetting).
Needs MuJoCo. Existing bags are used again.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from sam2_ros.data import bag
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.simulation.mujoco_scenes import MujocoScenes
from sam2_ros.scenes.synthetic import SceneSettings


def record(scenes: MujocoScenes, seeds: range, folder: Path) -> None:
    """Write a bag of the scene of each seed."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in tqdm(seeds, f"bags in {folder}"):
        path = folder / f"{seed:03}"
        if not (path / "metadata.yaml").exists():
            shutil.rmtree(path, ignore_errors=True)  # interrupted
            bag.write(scenes.scene(seed), path)


def run(*words: str | Path) -> None:
    command = ["-m", *map(str, words)]
    print("\n$", shlex.join(["python", *command]), flush=True)
    subprocess.run([sys.executable, *command], check=True)


def scores(out: Path) -> tuple[float, float, float]:
    """J&F, presence F1 and ID switches of an evaluation with one click."""
    total = json.loads((out / "scores.json").read_text())["total"]
    return total["j_and_f"], total["presence_f1"], total["switches"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for bags, runs and scores")
    parser.add_argument("--bags", type=int, default=60, help="for training (%(default)s)")
    parser.add_argument("--held-out", type=int, default=16, help="bags for scores (%(default)s)")
    parser.add_argument("--frames", type=int, default=16, help="of a bag (%(default)s)")
    parser.add_argument("--minutes", default="12", help="of training (%(default)s)")
    parser.add_argument("--pictures", help="a store of sam2_ros.scenes.pictures for walls, tables and things")
    options, more = parser.parse_known_args()
    settings = SceneSettings(height=256, width=256, frames=options.frames)
    scenes = MujocoScenes(settings, Pictures.open(options.pictures) if options.pictures else None)
    recordings, validation, tuned = (options.out / name for name in ("recordings", "validation", "run"))
    record(scenes, range(options.held_out), validation)
    record(scenes, range(options.held_out, options.held_out + options.bags), recordings)
    checkpoints = {"before": [], "after": ["--checkpoint", tuned / "average.safetensors"]}
    kinds = {"recordings": ["--data", validation], "suite": ["--suite"]}
    table = Table("", *(f"{kind}, {when}" for kind in kinds for when in checkpoints), title="J&F with one click")
    for when, checkpoint in checkpoints.items():
        if when == "after":
            run("sam2_ros.training", tuned, "--recipe", "fine-tuning-default", "--data", recordings,
                "--minutes", options.minutes, *more)  # fmt: skip
        for kind, clips in kinds.items():
            run("sam2_ros.evaluation", *clips, *checkpoint, "--out", options.out / f"{kind}-{when}")
    columns = [scores(options.out / f"{kind}-{when}") for kind in kinds for when in checkpoints]
    for name, values in zip(("J&F", "presence F1", "ID switches"), zip(*columns, strict=True), strict=True):
        table.add_row(name, *(f"{value:g}" if name == "ID switches" else f"{100 * value:.1f}" for value in values))
    Console().print(table)


if __name__ == "__main__":
    main()
