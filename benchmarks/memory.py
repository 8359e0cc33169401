"""Memory of a process that tracks an endless stream: python benchmarks/memory.py [--frames 1000] [--objects 2]

With --random, weights are random and every object is always present; with --size 64, too, 10,000 frames take minutes.

Frames come from a synthetic scene, played forwards and backwards. Objects are prompted at the start and again every 50
frames. Growth after frame 100 would be a leak on a robot. Resident memory is that of the process; on a CUDA GPU, the
memory that PyTorch has reserved is printed, too.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from sam2_ros.checkpoints.load import load_model
from sam2_ros.evaluation.prompts import error_click
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.system.allocator import keep_freed_memory
from sam2_ros.system.device import device_of
from sam2_ros.tracking.prompt import Prompt
from sam2_ros.tracking.tracker import Tracker

SETTLED = 100
"""Number of frames until the memory bank and the history are full, and allocators have reserved their memory."""


def memory_in_use(model: SAM2) -> tuple[float, float]:
    """Resident memory of this process, and memory that PyTorch has reserved on the model's GPU, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    on_gpu = torch.cuda.memory_reserved(model.device) / 1e6 if model.device.type == "cuda" else 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, on_gpu


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--objects", type=int, default=2)
    parser.add_argument("--model", choices=CONFIGS)
    parser.add_argument("--checkpoint")
    parser.add_argument("--device")
    parser.add_argument("--keep", action="store_true", help="keep freed memory for the next frame")
    parser.add_argument("--random", action="store_true", help="random weights")
    parser.add_argument("--size", type=int, help="with --random: input size, side of a square")
    options = parser.parse_args()

    clip = SyntheticScenes(SceneSettings(480, 640, frames=24, objects=(options.objects, 9), leaving=0)).scene(0)
    there_and_back = [*range(24), *range(22, 0, -1)]
    if options.keep:
        keep_freed_memory()
    if options.random:
        config = CONFIGS[options.model or "default"]
        model = SAM2(config.at(options.size or config.image_size)).eval().to(device_of(options.device))
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data.fill_(6.0)
    else:
        model = load_model(options.model, options.checkpoint, options.device)
    tracker = Tracker(model)
    nothing = np.zeros((480, 640), bool)
    print("frame  resident MB  of the GPU")
    settled = None
    start = time.perf_counter()
    for index in track(range(options.frames + 1), "tracking", transient=True):
        shown = there_and_back[index % len(there_and_back)]
        tracker.step(clip.frames[shown], index)
        if index == SETTLED:
            settled = memory_in_use(model)
        if index % 50 == 0:
            print("{:5d}  {:11.1f}  {:10.1f}".format(index, *memory_in_use(model)))
            for object_id, truth in list(zip(clip.object_ids, clip.masks[shown], strict=True))[: options.objects]:
                click = error_click(nothing, truth)
                if click is not None:
                    tracker.prompt(Prompt(object_id, clicks=(click,)))
    seconds = time.perf_counter() - start
    if settled is not None:
        host, gpu = (now - then for now, then in zip(memory_in_use(model), settled, strict=True))
        print(f"after frame {SETTLED}: {host:+.1f} MB, GPU {gpu:+.1f} MB over {options.frames - SETTLED} frames")
    print(f"{options.frames / seconds:.1f} frames/s with {len(tracker.labels)} objects of 640x480 frames")
    return 0


if __name__ == "__main__":
    sys.exit(main())
