"""CPU time of generated scenes: python benchmarks/scenes.py [--pictures STORE] [--photographs PATH] [--size 256]

Time of one process with all its threads, for each frame: the median over scenes, with the fastest and slowest scene.
Samples of training are 8 frames of a scene, which is used several times.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

from tqdm import tqdm

from sam2_ros.scenes.photo_scenes import PhotoScenes
from sam2_ros.scenes.photographs import Photographs
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.simulation.mujoco_scenes import MujocoScenes
from sam2_ros.scenes.synthetic import Scenes, SceneSettings, SyntheticScenes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", help="a store of sam2_ros.scenes.pictures")
    parser.add_argument("--photographs", help="still images with masks")
    parser.add_argument("--size", type=int, default=256, help="side of a frame, pixels (%(default)s)")
    parser.add_argument("--frames", type=int, default=8, help="of a scene (%(default)s)")
    parser.add_argument("--scenes", type=int, default=12, help="of each kind (%(default)s)")
    options = parser.parse_args()
    settings = SceneSettings(height=options.size, width=options.size, frames=options.frames)
    kinds: dict[str, Scenes] = {"synthetic": SyntheticScenes(settings)}
    if options.pictures:
        kinds["synthetic, with pictures"] = SyntheticScenes(settings, Pictures.open(options.pictures))
    if options.photographs:
        kinds["photographs"] = PhotoScenes(settings, Photographs.open(options.photographs))
    kinds["simulated"] = MujocoScenes(settings)
    print(f"ms of CPU for each {options.size}x{options.size} frame, {options.scenes} scenes of {options.frames} frames")
    for name, scenes in kinds.items():
        try:
            scenes.scene(0)  # loads and compiles what all share
        except (ImportError, RuntimeError) as error:
            print(f"{name:26}  {error}")
            continue
        spent = []
        for seed in tqdm(range(1, options.scenes + 1), name, leave=False):
            start = time.process_time()
            scenes.scene(seed)
            spent.append(1000 * (time.process_time() - start) / options.frames)
        print(f"{name:26} {median(spent):6.1f}   ({min(spent):.1f} .. {max(spent):.1f})")


if __name__ == "__main__":
    main()
