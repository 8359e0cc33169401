"""The options of the demo's command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from sam2_ros.command_line import CommandParser, argument
from sam2_ros.data.prompt_text import parse_box, parse_click, parse_mask
from sam2_ros.ros import demo
from sam2_ros.ros.demo.show import MIN_FRAMES

DESCRIPTION = f"""{demo.__doc__.splitlines()[0]}

Each click, box and mask is another object, in the given order. More clicks on the same object follow after + (on it)
or - (not on it)."""
EXAMPLES = """
%(prog)s
%(prog)s --video clip.mp4 --click 640,360-700,380
%(prog)s --video run1 --click 640,360 100,200 --box 380,200,120,150+400,260 --label cup hand bottle
"""


def parser() -> argparse.ArgumentParser:
    def frames(text: str) -> int:
        if int(text) < MIN_FRAMES:
            raise argparse.ArgumentTypeError(f"at least {MIN_FRAMES}: the first, and others on which it is tracked")
        return int(text)

    options = CommandParser("sam2_ros.ros.demo", DESCRIPTION, EXAMPLES, "%(prog)s [--video PATH] [options]")
    video = "a video file, a folder of images, or a bag (default: a generated scene)"
    options.add_argument("--video", type=Path, help=video)
    options.add_argument("--images", metavar="TOPIC", help="of a bag with several image topics")
    prompts = {"action": "extend", "nargs": "+", "dest": "prompts", "default": []}
    click = "pixel of an object on the first frame of --video, one or more"
    options.add_argument("--click", type=argument(parse_click), metavar="X,Y", help=click, **prompts)
    options.add_argument(
        "--box", type=argument(parse_box), metavar="X,Y,WIDTH,HEIGHT", help="around an object", **prompts
    )
    mask = "image file of the frame's size, not black on an object"
    options.add_argument("--mask", type=argument(parse_mask), metavar="FILE", help=mask, **prompts)
    label = "names of the prompted objects, in the same order"
    options.add_argument("--label", nargs="+", action="extend", metavar="NAME", default=[], help=label)
    options.add_argument("--out", type=Path, default=Path("demo"), help="folder for the results (default: demo)")
    options.add_argument("--frames", type=frames, metavar="N", help=f"only the first N frames, at least {MIN_FRAMES}")
    options.add_argument("--model", default="", help="model of the sam2 node (default: the one that ships)")
    options.add_argument("--checkpoint", default="", help="weights of the sam2 node")
    size = "input size of the network, about N x N pixels; default: the model's"
    options.add_argument("--size", type=int, metavar="N", help=size)
    aspect = "aspect of the network's input; `image`: that of the images; default: the model's"
    options.add_argument("--aspect", default="", metavar="W:H", help=aspect)
    return options
