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

from sam2_ros.command_line import CommandParser, argument
from sam2_ros.commands.shared_options import add_model, add_search
from sam2_ros.data.prompt_text import parse_timed
from sam2_ros.data.timed_prompt import Moment, TimedPrompt

FORMATS = ("bag", "davis", "sav", "coco", "video")

EXAMPLES = """
%(prog)s clip.mp4 --click 640,360 --format bag video
%(prog)s clip.mp4 --click 640,360-700,400@4.5s --box 10,20,80,60@120 --label cup plate
%(prog)s run1 --images /camera/color/image_raw --prompts prompts.json
%(prog)s run1            (a bag with prompts: what the live node tracked, once more)
%(prog)s photos --fps 10 --everything --format video coco
"""


def parser() -> argparse.ArgumentParser:
    description = (
        "Follows things through a bag, a video or a folder of images, and writes their masklets. Stopped at any"
        " moment, the same command goes on where it was."
    )
    usage = "%(prog)s RECORDING [--click X,Y ... | --prompts FILE | --everything] [options]"
    options = CommandParser("sam2_ros.commands.track", description, EXAMPLES, usage, rare=True)
    options.add_argument("recording", metavar="RECORDING", type=Path, help="bag, video file or folder of images")
    options.add_argument("--images", metavar="TOPIC", help="of a bag with several topics of images")
    options.add_argument("--fps", type=float, metavar="N", help="images a second, of a folder or a video")
    options.add_argument(
        "--from", dest="begin", type=argument(Moment.parse), metavar="WHEN", help="first image: 120, or 4.5s"
    )
    options.add_argument("--to", dest="end", type=argument(Moment.parse), metavar="WHEN", help="last image")

    what = options.add_argument_group("what to follow, each on the first image, or on that of @120 or @4.5s")
    several = {"action": "extend", "nargs": "+", "dest": "pointed", "default": []}
    for kind, metavar, text in (
        ("click", "X,Y", "pixels of objects; further ones after + (on it) and - (not on it)"),
        ("box", "X,Y,W,H", "boxes around objects"),
        ("mask", "FILE", "images that are black except for an object"),
    ):
        what.add_argument(f"--{kind}", type=_prompt(kind), metavar=metavar, help=text, **several)  # type: ignore[arg-type]
    what.add_argument("--label", nargs="+", action="extend", default=[], metavar="NAME", help="of these, in order")
    prompts = "prompts in a JSON file, or on a topic of the bag"
    what.add_argument("--prompts", metavar="FILE", help=prompts)
    what.add_argument("--everything", action="store_true", help="whatever can be found")
    add_search(what, "with --everything: ")
    backward = "also back to the first image; default, except for prompts of a bag"
    what.add_argument("--backward", action=argparse.BooleanOptionalAction, default=None, help=backward)

    results = options.add_argument_group("results")
    results.add_argument("--out", type=Path, default=Path("tracked"), metavar="FOLDER", help="default: tracked")
    results.add_argument(
        "--format", nargs="+", action="extend", choices=FORMATS, metavar="NAME",
        help=f"one or more of {', '.join(FORMATS)}; default: bag",
    )  # fmt: skip
    results.add_argument("--masklets-only", action="store_true", help="the bag without the original messages")
    results.add_argument("--restart", action="store_true", help="forget what is in the folder, and begin again")

    add_model(options.add_argument_group("model"))
    return options


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the command line. Exits if some are incompatible."""
    options_parser = parser()
    options = options_parser.parse_args(arguments)
    pointed, prompts, everything = options.pointed, options.prompts, options.everything
    ways = {"--click, --box and --mask": pointed, "--prompts": prompts, "--everything": everything}
    given = [way for way, value in ways.items() if value]
    if len(given) > 1:
        options_parser.error(f"{' and '.join(given)} exclude each other; a file of prompts may hold all of them")
    if len(options.label) > len(pointed):
        options_parser.error(f"{len(options.label)} labels for {len(pointed)} objects (--label)")
    options.format = list(dict.fromkeys(options.format or ["bag"]))
    if options.masklets_only and "bag" not in options.format:
        options_parser.error("--masklets-only is about the bag; add `bag` to --format")
    if everything and options.backward is False:
        options_parser.error("--everything always goes backwards as well")
    return options


def _prompt(kind: str) -> Callable[[str], TimedPrompt]:
    def parse_argument(text: str) -> TimedPrompt:
        try:
            return parse_timed(kind, text)
        except ValueError as error:
            is_recording = kind != "mask" and os.path.exists(text)
            hint = f"; the recording comes first: track {text} --{kind} X,Y" if is_recording else ""
            raise argparse.ArgumentTypeError(f"{error}{hint}") from error

    return parse_argument


def main(arguments: list[str] | None = None) -> int:
    """Tracks a recording. Returns the exit status.

    Args:
        arguments: None: those of this process.
    """
    options = parse(arguments)
    try:
        from sam2_ros.commands.tracking_run import run  # PyTorch takes seconds, and --help doesn't need it
    except KeyboardInterrupt:
        return 130
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
