"""sam2_ros track: follows things through a recording, and writes their masklets."""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("track")  # before imports that would fail

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before PyTorch starts its threads; see the sam2 node

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sam2_ros.data.prompt_text import parse_timed
from sam2_ros.data.timed_prompt import Moment, TimedPrompt
from sam2_ros.model.config import CONFIGS

FORMATS = ("bag", "davis", "sav", "coco", "video")

EXAMPLES = """
examples:
  %(prog)s clip.mp4 --click 640,360 --out tracked
  %(prog)s clip.mp4 --click 640,360+650,380-700,400@4.5s --box 10,20,80,60@120 --label cup plate
  %(prog)s run1 --images /camera/color/image_raw --prompts prompts.json --format bag davis
  %(prog)s run1                      (a bag with prompts: what the live node tracked, once more)
  %(prog)s photos/ --fps 10 --everything --format video coco

Stop it at any time: the same command goes on where it was.
"""


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="sam2_ros track",
        usage="%(prog)s RECORDING [what to follow] [options] --out FOLDER",
        description="Follows things through a bag, a video or a folder of images, and writes their masklets.",
        epilog=EXAMPLES,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=30, width=100),
    )
    options.add_argument("recording", metavar="RECORDING", type=Path, help="bag, video file or folder of images")
    options.add_argument("--images", metavar="TOPIC", help="of a bag with several image topics")
    options.add_argument("--fps", type=float, metavar="N", help="images a second, of a folder or a video")
    options.add_argument("--from", dest="begin", type=_moment, metavar="WHEN", help="first image (120, or 4.5s)")
    options.add_argument("--to", dest="end", type=_moment, metavar="WHEN", help="last image")

    what = options.add_argument_group("what to follow (WHEN: an image, @120, or seconds, @4.5s; default: the first)")
    several = {"action": "extend", "nargs": "+", "dest": "pointed", "default": []}
    for kind, metavar, text in (
        ("click", "X,Y[@WHEN]", "a pixel of each object; more after + (on it) or - (not on it)"),
        ("box", "X,Y,W,H[@WHEN]", "a box around each object; clicks may follow"),
        ("mask", "FILE[@WHEN]", "an image that is black except for the object"),
    ):
        what.add_argument(f"--{kind}", type=_prompt(kind), metavar=metavar, help=text, **several)  # type: ignore[arg-type]
    what.add_argument("--label", nargs="+", action="extend", default=[], metavar="NAME", help="of these, in order")
    prompts = "prompts in JSON (docs/tracking-recordings.md), or on a topic of the bag"
    what.add_argument("--prompts", metavar="FILE|TOPIC", help=prompts)
    what.add_argument("--everything", action="store_true", help="whatever can be found, without prompts")
    backward = "also to the start, from where it is pointed at (default; not for prompts of a bag)"
    what.add_argument("--backward", action=argparse.BooleanOptionalAction, default=None, help=backward)

    results = options.add_argument_group("results")
    results.add_argument("--out", type=Path, default=Path("tracked"), metavar="FOLDER", help="default: tracked")
    results.add_argument(
        "--format", nargs="+", action="extend", choices=FORMATS, metavar="NAME",
        help=f"one or more of {', '.join(FORMATS)} (default: bag)",
    )  # fmt: skip
    results.add_argument("--masklets-only", action="store_true", help="the bag without the images and other topics")
    results.add_argument("--restart", action="store_true", help="forget what is in the folder, and begin again")

    model = options.add_argument_group("model")
    names = "default, sam2.1_hiera_tiny, _small, _base_plus, _large"
    model.add_argument("--model", choices=CONFIGS, metavar="NAME", help=names)
    model.add_argument("--checkpoint", type=Path, metavar="FILE", help="weights, or a folder of exported graphs")
    model.add_argument("--size", type=int, metavar="N", help="input of about N x N pixels")
    model.add_argument("--aspect", metavar="W:H", help="of the input; `image`: as each image")
    model.add_argument("--device", help="cpu, cuda, ... (default: the GPU if there is one)")
    return options


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the command line. Exits if some are incompatible."""
    options_parser = parser()
    options = options_parser.parse_args(arguments)
    given = [
        name for name, value in (("--everything", options.everything), ("--prompts", options.prompts)) if value
    ] + (["--click, --box or --mask"] if options.pointed else [])
    if len(given) > 1:
        options_parser.error(f"{' and '.join(given)} cannot be combined; put all prompts into one file")
    if len(options.label) > len(options.pointed):
        options_parser.error(f"{len(options.label)} labels for {len(options.pointed)} objects (--label)")
    options.format = list(dict.fromkeys(options.format or ["bag"]))
    if options.masklets_only and "bag" not in options.format:
        options_parser.error("--masklets-only is about the bag; add bag to --format")
    return options


def _moment(text: str) -> Moment:
    try:
        return Moment.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _prompt(kind: str) -> Callable[[str], TimedPrompt]:
    def parse_argument(text: str) -> TimedPrompt:
        try:
            return parse_timed(kind, text)
        except ValueError as error:
            is_recording = kind != "mask" and Path(text).exists()
            hint = f"; the recording comes first: track {text} --{kind} ..." if is_recording else ""
            raise argparse.ArgumentTypeError(f"{error}{hint}") from error

    return parse_argument


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    from sam2_ros.commands.tracking_run import run  # PyTorch takes seconds, and --help does not need it

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
