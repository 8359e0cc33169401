"""`python -m sam2_ros.training RUN ...`: one stage of training, from scenes or from clips on a disk.

Several GPUs or nodes: `torchrun --nproc_per_node 8 -m sam2_ros.training RUN ...`
"""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("training")  # before the imports that would fail

import argparse
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.identity import identify
from sam2_ros.checkpoints.load import DEFAULT_WEIGHTS, load_checkpoint
from sam2_ros.checkpoints.official import OFFICIAL, fetch_official
from sam2_ros.checkpoints.weights import read_weights
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError
from sam2_ros.data.formats import open_all
from sam2_ros.data.label_values import MEANINGS
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.training import processes
from sam2_ros.training.augmentation import NONE, Augmentation
from sam2_ros.training.joint import JointSamples, of_stills
from sam2_ros.training.own_answers import remark_on_own_answers
from sam2_ros.training.recipe import RECIPES, Recipe, Stage
from sam2_ros.training.recordings import ClipSamples
from sam2_ros.training.samples import Samples
from sam2_ros.training.scenes import SceneSamples
from sam2_ros.training.start import look_at_the_click, look_at_the_same_place
from sam2_ros.training.trainer import Trainer
from sam2_ros.training.validation import clip_batches, scene_batches


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m sam2_ros.training",
        "%(prog)s OUT [--recipe NAME] [--data PATH ...] [--validation PATH ...] [options]   (--help lists them)",
        description="One stage of training. Under torchrun, in several processes.",
    )
    parser.add_argument("out", help="folder for checkpoints and logs; a checkpoint found there is gone on from")
    parser.add_argument("--recipe", choices=RECIPES, help="values of all options below that are not given")
    parser.add_argument(
        "--model",
        choices=CONFIGS,
        metavar="NAME",
        help=f"{', '.join(CONFIGS)}; default: the one that --init is for, or `default`",
    )
    init = "weights to start from: Meta's .pt, or an earlier stage's average.safetensors; default: see --pretrained"
    parser.add_argument("--init", type=Path, metavar="FILE", help=init)
    data = "folders or bags to learn from, in any layout that sam2_ros.data reads; default: synthetic scenes"
    parser.add_argument("--data", type=Path, nargs="+", metavar="PATH", help=data)
    stills = "still images with masks, likewise, for --still-share of the steps; beside scenes also scenes"
    parser.add_argument("--stills", type=Path, nargs="+", metavar="PATH", help=stills)
    validation = "clips that are not learnt from, likewise; default: scenes, or none where --data is given"
    parser.add_argument("--validation", type=Path, nargs="+", metavar="PATH", help=validation)
    parser.add_argument("--list", type=Path, metavar="FILE", help="of --data, only the clips named there, one a line")
    parser.add_argument("--validation-list", type=Path, metavar="FILE", help="likewise, of --validation")
    images = "of bags with several (default: the one that masklets fit); where the images are that a JSON lists"
    parser.add_argument("--images", metavar="TOPIC|FOLDER", help=images)
    parser.add_argument("--masklets", metavar="TOPIC", help="of bags with several")
    values = "of mask files: of one object, from half of the highest on, or each an object's ID; default: as it looks"
    parser.add_argument("--mask-values", choices=MEANINGS, help=values)
    pictures = "made by sam2_ros.scenes.pictures; without it scenes are procedural"
    parser.add_argument("--pictures", metavar="STORE", help=pictures)
    parser.add_argument("--new-memory", action="store_true", help="memory attention starts afresh")
    parser.add_argument("--device", help="cpu, cuda, ... (default: each process a GPU of its own, if there are any)")
    for part, values in asdict(Recipe()).items():
        group = parser.add_argument_group(f"{part} (sam2_ros.training.recipe says what each means)")
        for name, default in values.items():
            kind = {field.name: str(field.type) for field in fields(getattr(Recipe(), part))}[name]
            named = {key: getattr(getattr(recipe, part), name) for key, recipe in RECIPES.items()}
            said = ", ".join([str(default), *(f"{key}: {value}" for key, value in named.items() if value != default)])
            how: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
            if "bool" not in kind:
                types = {"int": (int, "N"), "float": (float, "X"), "str": (str, "W:H")}
                how = dict(zip(("type", "metavar"), types[kind.split(" ")[0]], strict=True))
            group.add_argument(f"--{name.replace('_', '-')}", default=argparse.SUPPRESS, help=said, **how)
    return parser


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The named recipe, with what was said otherwise."""
    recipe = RECIPES[options.recipe] if options.recipe else Recipe()
    given = vars(options)
    if "minutes" in given or "steps" in given:  # one of them ends the stage
        recipe = replace(recipe, stage=replace(recipe.stage, minutes=None, steps=None))
    for part in fields(Recipe):
        settings = getattr(recipe, part.name)
        said = {field.name: given[field.name] for field in fields(settings) if field.name in given}
        recipe = replace(recipe, **{part.name: replace(settings, **said)})
    return recipe


def network(options: argparse.Namespace, recipe: Recipe) -> SAM2:
    """The network with the weights that it starts from.

    Raises:
        CheckpointError: they are missing, or fit no network.
    """
    name = options.model or "default"
    init = options.init
    if init and not options.model:
        name = identify(read_weights(init)) or name
    if not init and recipe.stage.pretrained:
        init = fetch_official(name) if name in OFFICIAL else DEFAULT_WEIGHTS
    config = CONFIGS[name]
    config = config.at(recipe.stage.size, recipe.stage.aspect)
    if recipe.learning.drop_path is not None:
        config = replace(config, hiera=replace(config.hiera, drop_path=recipe.learning.drop_path))
    torch.manual_seed(0)
    model = SAM2(config)
    if init:
        load_checkpoint(model, init)
    new_memory = options.new_memory or bool(model.missing_weights)  # weights for still images are a start, too
    if recipe.stage.frames > 1:
        model.missing_weights = ()  # they are learnt now
    if new_memory or not init:
        look_at_the_same_place(model)
    if not init:
        look_at_the_click(model)
    return model


def size_of(clips: Sequence[Clip]) -> tuple[int, int]:
    """Height and width, pixels, of the first clip that is not damaged.

    Raises:
        ValueError: there are no clips, or all are damaged (the last one's ClipError).
    """
    damaged: ValueError = ValueError("there are no clips to learn from or to validate with")
    for number in range(len(clips)):
        try:
            height, width = clips[number].frames[0].shape[:2]
            return height, width
        except ClipError as error:
            damaged = error
    raise damaged


def trainer(options: argparse.Namespace, device: torch.device) -> Trainer:
    """All that was asked for, ready to run.

    Raises:
        ValueError, OSError, CheckpointError: it can't be done, and why.
    """
    recipe = recipe_of(options)
    model = network(options, recipe)
    pictures = Pictures.open(options.pictures) if options.pictures else None
    said = options.images, options.masklets, options.mask_values

    def made_of(
        paths: list[Path] | None, names: Path | None, stage: Stage, changes: Augmentation
    ) -> SceneSamples | ClipSamples:
        if not paths:
            return SceneSamples(stage, model.config.shape(1, 1), changes, pictures)
        clips = open_all(paths, names, *said)
        samples = ClipSamples(clips, stage, model.config.shape(*size_of(clips)), changes)
        samples[0, 0]  # what is wrong with all of the clips, one hears now
        return samples

    if options.stills and not recipe.stage.still_share:
        raise ValueError("--stills needs --still-share: of how many of the steps, 0 .. 1")
    samples: Samples = made_of(options.data, options.list, recipe.stage, recipe.augmentation)
    if recipe.stage.still_share and (options.stills or not options.data):
        mirrored = replace(NONE, flip=recipe.augmentation.flip)  # and no more: table 13 of the paper
        stills = made_of(options.stills, None, of_stills(recipe.stage), mirrored)
        samples = JointSamples(samples, stills, recipe.stage)
    validation = []
    if processes.rank_and_world()[0] == 0:
        remark_on_own_answers(options.data, options.validation)
        if options.validation:
            clips = open_all(options.validation, options.validation_list, *said)
            validation = clip_batches(clips, recipe.stage, model.config.shape(*size_of(clips)))
        elif not options.data:
            validation = scene_batches(model.config.shape(1, 1), pictures)
    return Trainer(model.to(device), recipe, samples, options.out, validation)


def outcome(options: argparse.Namespace, trained: Trainer) -> str:
    """What there is now, and what to do with it."""
    if trained.progress < 1:
        how = f"stopped after {trained.step} steps; the same command goes on from there. The weights so far"
    else:
        how = f"complete after {trained.step} steps. The weights"
    of_clips = f"--data {shlex.quote(str(options.validation[0]))}" if options.validation else "--suite"
    weights = shlex.quote(str(trained.weights))
    return (
        f"{how}: {trained.weights}\n"
        f"  is it better?  python -m sam2_ros.evaluation {of_clips} --checkpoint {weights}\n"
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
        for kind in (signal.SIGINT, signal.SIGTERM):  # the step at hand is finished, then the checkpoint is written
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
