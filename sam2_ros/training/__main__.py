"""`python -m sam2_ros.training RUN ...`: trains one stage, on synthetic scenes or on clips from a disk.

Several GPUs or nodes: `torchrun --nproc_per_node 8 -m sam2_ros.training RUN ...`
"""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("train")  # before the imports that would fail

import argparse
import os
import shlex
import signal
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import torch

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.command_line import MODELS, CommandParser, Rare
from sam2_ros.data.clips import ClipError
from sam2_ros.data.formats import open_all
from sam2_ros.data.label_values import MEANINGS
from sam2_ros.model.config import CONFIGS
from sam2_ros.scenes.photographs import Photographs
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.training import processes
from sam2_ros.training.augmentation import NONE, Augmentation
from sam2_ros.training.initial import initial_model
from sam2_ros.training.joint import JointSamples, still_stage
from sam2_ros.training.recipe import FOLDER, NAMES, Recipe, Stage, load
from sam2_ros.training.recordings import ClipSamples, size_of
from sam2_ros.training.samples import Samples
from sam2_ros.training.scenes import SceneSamples
from sam2_ros.training.trainer import RECORDED, Trainer
from sam2_ros.training.uncorrected import warn_of_uncorrected
from sam2_ros.training.validation import clip_batches, scene_batches

EXAMPLES = """
%(prog)s run --recipe fine-tuning --data run1 run2 --validation run3
%(prog)s run --recipe fine-tuning --init sam2.1_hiera_tiny.pt --data DAVIS --minutes 60
torchrun --nproc_per_node 8 -m sam2_ros.training run --data sav_train
"""


def arguments() -> argparse.ArgumentParser:
    description = f"""Trains one stage, on your clips or on synthetic scenes.

All other settings are in recipes, which are TOML files: {FOLDER / "default.toml"} explains each."""
    usage = "%(prog)s OUT [--data PATH ...] [--recipe NAME] [options]"
    parser = CommandParser("sam2_ros.training", description, EXAMPLES, usage, rare=True)
    parser.add_argument("out", type=Path, help="folder for checkpoints and logs; resumes if one is there")
    recipe = f"{', '.join(NAMES)}, or a file; default: that of the run in OUT, or `default`"
    parser.add_argument("--recipe", metavar="NAME|FILE", help=recipe)
    model = f"{MODELS} (default: the one that --init fits)"
    parser.add_argument("--model", choices=CONFIGS, metavar="NAME", help=model)
    init = "initial weights: Meta's .pt, or an earlier average.safetensors; default: see `pretrained` in recipes"
    parser.add_argument("--init", type=Path, metavar="FILE", help=init)
    parser.add_argument("--device", help="cpu, cuda, ... (default: a GPU for each process, if there are any)")

    settings = parser.add_argument_group("settings that replace those of the recipe")
    for table in SETTINGS.values():
        for name, (kind, metavar, text) in table.items():
            settings.add_argument(f"--{name}", type=kind, metavar=metavar, default=argparse.SUPPRESS, help=text)

    clips = parser.add_argument_group("data")
    data = "data sets, folders or bags (docs/datasets.md); default: synthetic scenes"
    clips.add_argument("--data", type=Path, nargs="+", metavar="PATH", help=data)
    stills = Rare("still images with masks for `still_share` of the steps; default: scenes, where --data is not given")
    clips.add_argument("--stills", type=Path, nargs="+", metavar="PATH", help=stills)
    validation = "clips to validate on; default: scenes, or none where --data is given"
    clips.add_argument("--validation", type=Path, nargs="+", metavar="PATH", help=validation)
    clips.add_argument(
        "--list", type=Path, metavar="FILE", help=Rare("only the clips of --data named there, one a line")
    )
    clips.add_argument("--validation-list", type=Path, metavar="FILE", help=Rare("the same for --validation"))
    images = "topic of bags with several (default: that of the masklets); folder of the images a JSON lists"
    clips.add_argument("--images", metavar="TOPIC|FOLDER", help=images)
    clips.add_argument("--masklets", metavar="TOPIC", help=Rare("masklet topic of bags with several"))
    values = Rare(
        "of mask files: one object from half of the highest value on, or an object's ID each; default: inferred"
    )
    clips.add_argument("--mask-values", choices=MEANINGS, help=values)
    pictures = Rare("store of photographs, made by `sam2_ros pictures`; without it scenes are procedural")
    clips.add_argument("--pictures", metavar="STORE", help=pictures)
    photographs = Rare("still images with masks, for the recipe's `photographs` of the scenes; one in 7 is never used")
    clips.add_argument("--photographs", type=Path, metavar="PATH", help=photographs)
    return parser


SETTINGS: dict[str, dict[str, tuple[type, str, str]]] = {
    "stage": {
        "steps": (int, "N", "length of the stage"),
        "minutes": (float, "X", "length of the stage, instead of steps"),
        "clips": (int, "N", "clips in a batch of one process"),
        "frames": (int, "N", "frames of each clip; 1: still images"),
        "size": (int, "N", "images have about N x N pixels; a multiple of 32"),
        "workers": (int, "N", Rare("processes that make samples, for each process that trains")),
    },
    "learning": {"lr": (float, "X", "learning rate")},
}
"""The settings of a recipe that have an option: table -> name -> type, metavar and help."""


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe, with the settings that options replace.

    Raises:
        RecipeError: there is no such recipe, or a setting is wrong.
    """
    recorded = options.out / RECORDED
    recipe = load(options.recipe or (recorded if recorded.exists() else "default"))
    values = vars(options)
    tables = {table: {name: values[name] for name in names if name in values} for table, names in SETTINGS.items()}
    return recipe.changed(tables)


def trainer(options: argparse.Namespace, device: torch.device) -> Trainer:
    """The trainer that options describe, ready to run.

    Raises:
        ValueError, OSError, CheckpointError: a recipe, data or weights cannot be used; the message says why.
    """
    recipe = recipe_of(options)
    model = initial_model(options.model, options.init, recipe)
    pictures = Pictures.open(options.pictures) if options.pictures else None
    photographs = Photographs.open(options.photographs) if options.photographs else ()
    hints = options.images, options.masklets, options.mask_values

    def samples_of(
        paths: list[Path] | None, names: Path | None, stage: Stage, changes: Augmentation
    ) -> SceneSamples | ClipSamples:
        if not paths:
            return SceneSamples(stage, model.config.shape(1, 1), changes, pictures, photographs)
        clips = open_all(paths, names, *hints)
        samples = ClipSamples(clips, stage, model.config.shape(*size_of(clips)), changes)
        samples[0, 0]  # fails now rather than in a worker if no clip can be used
        return samples

    if options.stills and not recipe.stage.still_share:
        raise ValueError("--stills needs a recipe with `still_share`, the share of the steps they are used in")
    samples: Samples = samples_of(options.data, options.list, recipe.stage, recipe.augmentation)
    if recipe.stage.still_share and (options.stills or not options.data):
        mirrored = replace(NONE, flip=recipe.augmentation.flip)  # nothing else: table 13 of the paper
        stills = samples_of(options.stills, None, still_stage(recipe.stage), mirrored)
        samples = JointSamples(samples, stills, recipe.stage)
    validation = []
    if processes.rank_and_world()[0] == 0:
        warn_of_uncorrected(options.data, options.validation)
        if options.validation:
            clips = open_all(options.validation, options.validation_list, *hints)
            validation = clip_batches(clips, recipe.stage, model.config.shape(*size_of(clips)))
        elif not options.data:
            validation = scene_batches(model.config.shape(1, 1), pictures)
    return Trainer(model.to(device), recipe, samples, options.out, validation)


def outcome(options: argparse.Namespace, trained: Trainer) -> str:
    """The final lines: path of the weights, and commands that use them."""
    if trained.progress < 1:
        how = f"stopped after {trained.step} steps; the same command resumes from there. The weights so far"
    else:
        how = f"complete after {trained.step} steps. The weights"
    clip_option = f"--data {shlex.quote(str(options.validation[0]))}" if options.validation else "--suite"
    weights = shlex.quote(str(trained.weights))
    return (
        f"{how}: {trained.weights}\n"
        f"  is it better?  python -m sam2_ros.evaluation {clip_option} --checkpoint {weights}\n"
        f"  on the robot:  ros2 launch sam2_ros sam2.launch.py checkpoint:={weights} image:=..."
    )


def main() -> int:
    options = arguments().parse_args()
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr, flush=True)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    try:
        device = processes.start(options.device)
        prepared = trainer(options, device)
    except (ClipError, CheckpointError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if prepared.progress < 1:
        for kind in (signal.SIGINT, signal.SIGTERM):  # finish the current step, then write the checkpoint
            signal.signal(kind, lambda *_: prepared.stop())
        try:
            prepared.run()
        except (CheckpointError, OSError, ValueError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        if prepared.rank == 0:
            print(outcome(options, prepared))
    elif prepared.rank == 0:
        print(
            f"{prepared.checkpoint}: this stage is complete, after {prepared.step} steps. To make it longer, give more"
            f" --steps or --minutes; to begin another, give another folder and --init {prepared.weights}"
        )
    processes.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
