"""sam2_ros segment: everything in pictures, or what is pointed at, as masks in COCO JSON and pictures of them."""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("segment")  # before imports that would fail

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before PyTorch starts its threads; see the sam2 node

import argparse
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import load_model
from sam2_ros.command_line import CommandParser, Rare, argument
from sam2_ros.commands.picture_list import Picture, PictureList
from sam2_ros.commands.segmenters import Everything, Found, Prompted
from sam2_ros.commands.shared_options import add_model
from sam2_ros.data.clips import ClipError
from sam2_ros.data.coco_writer import CocoWriter
from sam2_ros.data.images import read_image
from sam2_ros.data.prompt_text import parse_box, parse_click, parse_mask
from sam2_ros.data.replaced import replacing
from sam2_ros.tracking import rle
from sam2_ros.tracking.automatic_masks import EverythingSettings
from sam2_ros.tracking.prompt import PromptError
from sam2_ros.tracking.segmented_picture import SegmentedThing, draw_segmented

ANNOTATIONS = "annotations.json"
EXAMPLES = """
%(prog)s picture.jpg --out masks
%(prog)s photos --out masks --pred-iou-thresh 0.4 --format png
%(prog)s photos --model sam2.1_hiera_tiny --crop-n-layers 1
%(prog)s picture.jpg --click 640,360+650,380-700,400 --box 10,20,80,60 --label cup plate
"""

SETTINGS: dict[str, tuple[str, str]] = {
    "points_per_side": ("N", "a grid of N x N clicks looks for things"),
    "pred_iou_thresh": ("X", "minimum predicted IoU of a mask, 0 to 1"),
    "stability_score_thresh": ("X", "minimum stability of a mask, 0 to 1"),
    "box_nms_thresh": ("X", "IoU of boxes from which on two masks are one thing"),
    "crop_n_layers": ("N", "search in 4 ** n smaller crops, too, for small things (default: 0)"),
    "min_mask_region_area": ("N", "remove holes and islands of fewer pixels (default: 0)"),
    "points_per_batch": ("N", "clicks at once: changes speed and memory only (default: 64)"),
    "stability_score_offset": ("X", "of the two thresholds that stability compares, logits (default: 1)"),
    "mask_threshold": ("X", "logit above which a pixel belongs to a mask (default: 0)"),
    "crop_nms_thresh": ("X", "as --box-nms-thresh, between crops (default: 0.7)"),
    "crop_overlap_ratio": ("X", "overlap of crops, as a share of the shorter side (default: 0.34)"),
    "crop_n_points_downscale_factor": ("N", "in layer n, fewer clicks a side, by this to the power of n (default: 1)"),
    "use_m2m": ("", "refine each mask by the decoder once more"),
    "multimask_output": ("", "three candidates for each click (default), or one"),
}
"""The settings that have an option each: metavar and help."""
COMMON = 6
"""How many of them `--help` shows."""


def arguments() -> CommandParser:
    description = "Segments everything in pictures, or what is pointed at. Writes, of each, a picture of the masks, and"
    description += f" {ANNOTATIONS} in COCO's format with the predicted IoU of each mask as its score."
    parser = CommandParser(
        "sam2_ros.commands.segment", description, EXAMPLES, "%(prog)s PICTURE|FOLDER ... [options]", rare=True
    )
    parser.add_argument(
        "pictures", nargs="+", type=Path, metavar="PICTURE|FOLDER", help="folders: all pictures in them"
    )
    out = "folder for the results (default: masks)"
    parser.add_argument("--out", type=Path, metavar="FOLDER", default=Path("masks"), help=out)
    parser.add_argument("--format", choices=["png"], help="png: also each mask as a black and white picture")

    everything = parser.add_argument_group(
        "everything (defaults suit the model; for Meta's they are those of its generator)"
    )
    for index, (name, (metavar, text)) in enumerate(SETTINGS.items()):
        option, default = f"--{name.replace('_', '-')}", getattr(EverythingSettings(), name)
        help = text if index < COMMON else Rare(text)
        if isinstance(default, bool):
            action = argparse.BooleanOptionalAction
            everything.add_argument(option, action=action, default=argparse.SUPPRESS, help=help)
        else:
            everything.add_argument(option, type=type(default), metavar=metavar, default=argparse.SUPPRESS, help=help)

    pointed = parser.add_argument_group("or what is pointed at, in every picture")
    several: dict[str, Any] = {"action": "extend", "nargs": "+", "dest": "prompts", "default": []}
    click = "a pixel of each object; more after + (on it) or - (not on it)"
    pointed.add_argument("--click", type=argument(parse_click), metavar="X,Y", help=click, **several)
    box = "a box around each object; clicks may follow"
    pointed.add_argument("--box", type=argument(parse_box), metavar="X,Y,W,H", help=box, **several)
    mask = "a mask to refine: an image that is black except for the object"
    pointed.add_argument("--mask", type=argument(parse_mask), metavar="FILE", help=mask, **several)
    label = "of these, in order"
    pointed.add_argument("--label", nargs="+", action="extend", default=[], metavar="NAME", help=label)

    add_model(parser.add_argument_group("model"))
    return parser


def parse_options() -> argparse.Namespace:
    """The options of the command line. Exits if some are wrong."""
    parser = arguments()
    options = parser.parse_args()
    options.settings = {name: getattr(options, name) for name in SETTINGS if hasattr(options, name)}
    if options.prompts and options.settings:
        given = ", ".join(f"--{name.replace('_', '-')}" for name in options.settings)
        parser.error(f"{given}: settings of everything; leave them out, or --click, --box and --mask")
    if len(options.label) > len(options.prompts):
        parser.error(f"{len(options.label)} labels for {len(options.prompts)} objects (--label)")
    try:
        EverythingSettings(**options.settings)
    except ValueError as error:
        parser.error(str(error).replace("_", "-"))
    return options


def write_pictures(picture: Picture, image: np.ndarray, found: Sequence[Found], out: Path, with_masks: bool) -> None:
    """Write the picture of all masks, and each mask where these are wanted. Raises OSError."""
    with replacing(overlay_of(picture, out)) as file:
        drawn = draw_segmented(image, [SegmentedThing(one.counts, one.iou, one.label) for one in found])
        Image.fromarray(drawn).save(file, "png", compress_level=3)
    if with_masks:
        folder = out / f"{picture.output}.masks"
        folder.mkdir(parents=True, exist_ok=True)
        for earlier in folder.glob("[0-9]*.png"):  # of another run: there may be fewer now
            earlier.unlink()
        for number, one in enumerate(found, 1):
            mask = rle.decode(one.counts, *image.shape[:2])
            Image.fromarray(mask.view(np.uint8) * 255).convert("1").save(folder / f"{number:04d}.png")


def overlay_of(picture: Picture, out: Path) -> Path:
    """Where the picture of the masks is written."""
    return out / f"{picture.output}.png"


def check_out(options: argparse.Namespace, pictures: PictureList) -> None:
    """Raise ValueError if results would be written over pictures, or among those of a folder."""
    out = options.out.resolve()
    taken = {picture.path.resolve() for picture in pictures.pictures}
    if any(path.is_dir() and path.resolve() == out for path in options.pictures) or taken & {
        overlay_of(picture, out).resolve() for picture in pictures.pictures
    }:
        raise ValueError(f"{options.out}: the results would lie among the pictures; give another folder to --out")


def segment(options: argparse.Namespace, console: Console) -> int:
    """Segment all pictures that the options name. Returns the exit status.

    Raises:
        CheckpointError, OSError, ValueError: nothing could be done, or no more; the message says why.
    """
    pictures = PictureList.of(options.pictures, options.out)
    check_out(options, pictures)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = error.strerror if options.out.is_dir() or not options.out.exists() else "it is no folder"
        raise ValueError(f"{options.out}: {problem}; choose another folder with --out") from error
    model = load_model(options.model, options.checkpoint, options.device, options.size, options.aspect)
    segmenter = (
        Prompted(model, options.prompts, options.label) if options.prompts else Everything(model, options.settings)
    )
    skipped, empty, advice = 0, 0, ""
    with CocoWriter(options.out / ANNOTATIONS, pictures.folder) as coco, _bar(console) as progress:
        task = progress.add_task("", total=len(pictures.pictures))
        for number, picture in enumerate(pictures.pictures):
            progress.update(task, completed=number, description=_shortened(picture.name))
            try:
                image = read_image(picture.path)
                found = segmenter(image, lambda done: progress.update(task, completed=number + done))  # noqa: B023
            except (ClipError, PromptError) as error:
                skipped += 1
                reason = str(error) if isinstance(error, ClipError) else f"{picture.path}: {error}"
                said = _printable(f"skipped: {reason}")
                console.print(said, style="yellow", highlight=False, markup=False, soft_wrap=True)
                continue
            height, width = image.shape[:2]
            if not found:
                empty += 1
                advice = advice or segmenter.advice(image)
            write_pictures(picture, image, found, options.out, options.format == "png")
            coco.add(picture.name, height, width, [one.annotation(height, width) for one in found])
        progress.update(task, completed=len(pictures.pictures), description="done")
    done = len(pictures.pictures) - skipped
    lines = [f"{_count(coco.annotations, 'thing')} in {_count(done, 'picture')}: {options.out}/"]
    lines += [f"{options.out / ANNOTATIONS}: COCO; names of files are relative to {pictures.folder}"]
    lines += [f"nothing was found in {_count(empty, 'picture')}: {advice}"] if empty else []
    lines += [f"{_count(skipped, 'picture')} skipped, see above"] if skipped else []
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    return 0 if not skipped else 1 if done else 2


def _bar(console: Console) -> Progress:
    name = TextColumn("{task.description:<24}", markup=False)
    columns = name, BarColumn(40), TextColumn("{task.completed:.0f}/{task.total}")
    return Progress(*columns, TimeRemainingColumn(), console=console)


def _shortened(name: str) -> str:
    return _printable(name if len(name) <= 24 else f"…{name[-23:]}")


def _printable(text: str) -> str:
    """Names of files may hold bytes that are no text."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def main() -> int:
    options = parse_options()
    console = Console()
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large pictures are none; bombs are refused
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was found until then is written
    try:
        return segment(options, console)
    except torch.OutOfMemoryError:
        print("error: the GPU's memory is full: lower --points-per-batch (64) or --size", file=sys.stderr)
        return 2
    except (CheckpointError, OSError, ValueError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
