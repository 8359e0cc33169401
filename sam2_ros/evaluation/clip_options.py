"""The options of a command line that choose clips with known masks, and warnings about them."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from sam2_ros.command_line import Rare
from sam2_ros.data import davis
from sam2_ros.data.clips import Clips, DataWarning, from_list
from sam2_ros.data.formats import open_clips
from sam2_ros.data.label_values import MEANINGS
from sam2_ros.scenes.synthetic import suite


def add_clip_options(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Add them to a command line; `check_clip_options` belongs to it. Returns those that say where clips are from."""
    clip_options = parser.add_argument_group("clips")
    clips = clip_options.add_mutually_exclusive_group(required=True)
    clips.add_argument("--suite", action="store_true", help="the synthetic scenes held out from training")
    clips.add_argument("--davis", type=Path, metavar="FOLDER", help="a folder with JPEGImages/ and Annotations/")
    clips.add_argument(
        "--data", type=Path, metavar="PATH", help="any layout: DAVIS, MOSE, YouTube-VOS, SA-V, SA-1B, COCO, a bag"
    )
    clip_options.add_argument("--split", metavar="NAME", help="with --davis: a list of its ImageSets, such as 2017/val")
    clip_options.add_argument("--list", type=Path, metavar="FILE", help=Rare("only the clips named there, one a line"))
    clip_options.add_argument("--only", nargs="+", metavar="NAME", help="only the clips whose names begin with NAME")

    clip_options.add_argument(
        "--images", metavar="TOPIC|FOLDER",
        help="topic of a bag with several (default: that of the masklets); or folder of the images in a JSON",
    )  # fmt: skip
    clip_options.add_argument("--masklets", metavar="TOPIC", help=Rare("topic of a bag with several"))
    clip_options.add_argument(
        "--mask-values", choices=MEANINGS,
        help=Rare(
            "values of mask files. binary: one object, from half of the maximum on. labels: object IDs. Default:"
            " detected, if unambiguous"
        ),
    )  # fmt: skip
    clip_options.add_argument(
        "--strict", action="store_true", help=Rare("stop at a damaged clip instead of skipping it")
    )
    return clips


def check_clip_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exits if some are incompatible."""
    if options.split and not options.davis:
        parser.error("--split needs --davis; use --list FILE for other data sets")
    if (options.images or options.masklets) and not options.data:
        parser.error("--images and --masklets need --data")
    if options.mask_values and not (options.davis or options.data):
        parser.error("--mask-values needs --davis or --data")


def find_clips(options: argparse.Namespace) -> tuple[Clips, str]:
    """The clips, and a name for them. Raises ClipError, or ValueError if --list or --only leave none."""
    if options.suite:
        clips, name_of_clips = suite(), "synthetic suite"
    elif options.davis:
        clips = davis.clips(options.davis, split=options.split, mask_values=options.mask_values)
        name_of_clips = f"DAVIS layout, {options.davis}"
        name_of_clips += f", {options.split}" if options.split else ""
    else:
        clips = open_clips(options.data, options.images, options.masklets, options.mask_values)
        name_of_clips = str(options.data)
    if options.list:
        (clips,) = from_list(options.list, [clips], name_of_clips)
        name_of_clips += f", {options.list}"
    if not clips:
        raise ValueError(f"{name_of_clips}: contains no clips")
    chosen = clips.beginning(tuple(options.only or [""]))
    if not chosen:
        names = ", ".join(clips.names[:12]) + (", ..." if len(clips) > 12 else "")
        raise ValueError(f"no clip's name begins with {' or '.join(options.only)} (--only); the clips are {names}")
    return chosen, name_of_clips


@contextmanager
def data_warnings(console: Console) -> Iterator[list[str]]:
    """Print warnings about data sets, and collect their messages."""
    messages: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("once", DataWarning)
        show = warnings.showwarning

        def show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, DataWarning):
                show(message, category, *where, **more)
                return
            messages.append(str(message))
            console.print(f"warning: {message}", style="yellow", highlight=False, markup=False, soft_wrap=True)

        warnings.showwarning = show_warning
        yield messages
