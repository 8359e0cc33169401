"""Time of a fleet against one worker: python benchmarks/fleet.py [--bags 8] [--images 48] [--workers 1 2] [--rounds 3]

Bags of synthetic scenes; automatic masklets of all of them with the default model, by `sam2_ros fleet`. In each round
the numbers of workers are timed one after the other; all of them share the same CPUs, so the threads of one worker are
fewer the more workers there are. Printed are medians of the rounds: the whole command; its time without the start of
Ray and of the workers, from their first image on (`work`); and the ratio of the first number of workers to each.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from sam2_ros.data import bag
from sam2_ros.fleet.fleet import News, run, started
from sam2_ros.fleet.job import Model
from sam2_ros.fleet.masklets import MaskletJob
from sam2_ros.recordings.everything import AutomaticMaskletSettings
from sam2_ros.recordings.run_store import Search
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes

Bags = list[tuple[str, Path]]


def timed(folder: Path, bags: Bags, workers: int, masklets: int, size: int | None) -> tuple[float, float]:
    """Seconds of the whole, and from the first progress on."""
    shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    first: list[float] = []

    def on_progress(done: float, total: float) -> None:
        if done and not first:
            first.append(time.perf_counter())

    job = MaskletJob(
        Model(size=size), folder, Search(AutomaticMaskletSettings(max_masklets=masklets), 32), formats=("bag",)
    )
    _, weights = job.model.load("cpu")
    with started(workers) as plan:
        outcomes = run(job, bags, plan, weights, News(on_progress))
        ended = time.perf_counter()
    assert all(one.state == "done" for one in outcomes), outcomes
    return time.perf_counter() - began, ended - first[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bags", type=int, default=8)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--masklets", type=int, default=8, help="objects of each bag, at most")
    parser.add_argument("--size", type=int, help="of the network's input")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenes = SyntheticScenes(SceneSettings(240, 320, frames=options.images))
        bags = []
        for number in range(options.bags):
            bag.write(scenes.scene(number), folder / f"run{number}", masklets="/truth")
            bags.append((f"run{number}", folder / f"run{number}"))
        seconds: dict[int, list[tuple[float, float]]] = {workers: [] for workers in options.workers}
        for number in range(options.rounds):
            for workers in options.workers:
                seconds[workers].append(timed(folder / "out", bags, workers, options.masklets, options.size))
                whole, work = seconds[workers][-1]
                print(f"round {number + 1}, {workers} workers: {whole:.1f} s, work {work:.1f} s", file=sys.stderr)
    print(f"{options.bags} bags of {options.images} images, at most {options.masklets} objects each")
    print("| workers | seconds | work | against the first | work against the first |\n|--:|--:|--:|--:|--:|")
    reference = seconds[options.workers[0]]
    for workers, rounds in seconds.items():
        ratios = [
            statistics.median(one[part] / other[part] for one, other in zip(reference, rounds, strict=True))
            for part in (0, 1)
        ]
        whole, work = (statistics.median(one[part] for one in rounds) for part in (0, 1))
        print(f"| {workers} | {whole:.1f} | {work:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
