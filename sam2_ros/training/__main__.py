"""`python -m sam2_ros.training`: one stage of training. Several processes: `torchrun --nproc_per_node 2 -m ...`."""

from __future__ import annotations

import argparse
import os
from dataclasses import fields

import torch
import torch.distributed as dist

from sam2_ros.data.pictures import Pictures
from sam2_ros.model.checkpoint import load_checkpoint
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2
from sam2_ros.training.losses import Weights
from sam2_ros.training.rollout import Recipe
from sam2_ros.training.start import look_at_the_click, look_at_the_same_place
from sam2_ros.training.trainer import Stage, Trainer


def main() -> None:
    parser = argparse.ArgumentParser("sam2_ros.training", description=__doc__)
    parser.add_argument("out", help="folder for checkpoints and logs; a checkpoint found there is gone on from")
    parser.add_argument("--model", choices=CONFIGS, default="default")
    parser.add_argument("--init", help="weights to start from, such as an earlier stage's average.safetensors")
    parser.add_argument("--pictures", help="a store made by sam2_ros.data.pictures; without it scenes are procedural")
    parser.add_argument("--new-memory", action="store_true", help="memory attention starts afresh")
    for settings in (Stage, Recipe, Weights):
        for field in fields(settings):
            option = f"--{field.name.replace('_', '-')}"
            if field.type == "bool":
                parser.add_argument(option, action="store_true")
            else:
                parser.add_argument(option, type=int if "int" in str(field.type) else float, default=field.default)
    args = parser.parse_args()

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group("gloo")
    torch.manual_seed(0)
    model = SAM2(CONFIGS[args.model].at(args.size))
    if args.init:
        load_checkpoint(model, args.init)
    if args.new_memory or not args.init:
        look_at_the_same_place(model)
    if not args.init:
        look_at_the_click(model)
    stage, recipe, weights = (
        kind(**{f.name: getattr(args, f.name) for f in fields(kind)}) for kind in (Stage, Recipe, Weights)
    )
    Trainer(model, stage, recipe, weights, args.out, Pictures.open(args.pictures) if args.pictures else None).run()
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
