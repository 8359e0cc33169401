"""The options of the actions of `sam2_ros annotate`. Imports nothing that takes time."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from sam2_ros.command_line import CommandParser, argument
from sam2_ros.commands.shared_options import add_model, add_search
from sam2_ros.data.prompt_text import parse_box, parse_click
from sam2_ros.data.timed_prompt import Moment
from sam2_ros.tracking.prompt import MAX_OBJECT_ID

VERDICTS = ("satisfactory", "unsatisfactory", "no-object")

FORMATS = ("bag", "sav", "davis", "mose", "youtube-vos", "coco", "yolo", "video")
"""Those of `annotation.export`."""

PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""Formats of pictures, by suffix."""


def parse(action: str, program: str, arguments: Sequence[str]) -> argparse.Namespace:
    """The options of an action. Exits with a message if they are wrong.

    Args:
        program: the words before the action.
        arguments: those after it.
    """
    parser, check = _PARSERS[action]()
    parser.prog = f"{program} {action}"
    options = parser.parse_intermixed_args(arguments)
    if problem := check(options):
        parser.error(problem)
    return options


Check = Callable[[argparse.Namespace], str | None]
"""What is wrong with options, if anything is."""


def _fine(options: argparse.Namespace) -> str | None:
    return None


def _new() -> tuple[CommandParser, Check]:
    parser = _parser(
        "Makes the annotation project of a bag, a video or a folder of images, or adds proposals to one that is there."
        " Proposals are masklets that nobody has looked at; they are verified like others. Stopped at any moment, the"
        " same command goes on where it was.",
        """
        %(prog)s run1 --images /camera/color/image_raw
        %(prog)s clip.mp4 cups --propose                 (the project is the folder `cups`)
        %(prog)s run1 --tracked tracked                  (what `sam2_ros track --out tracked` has found)
        """,
        "%(prog)s RECORDING [PROJECT] [--propose | --tracked FOLDER] [options]",
        rare=True,
    )
    parser.add_argument("recording", metavar="RECORDING", type=Path, help="bag, video file or folder of images")
    project = "folder of the project; default: RECORDING.annotation"
    parser.add_argument("project", metavar="PROJECT", type=Path, nargs="?", help=project)
    parser.add_argument("--images", metavar="TOPIC", help="of a bag with several topics of images")
    parser.add_argument("--fps", type=float, metavar="N", help="images a second, of a folder or a video")
    first = "first frame, if it is not all of the recording: 120, or 4.5s"
    parser.add_argument("--from", dest="begin", type=_moment, metavar="WHEN", help=first)
    parser.add_argument("--to", dest="end", type=_moment, metavar="WHEN", help="last frame")
    phase_1 = "frames a second that are annotated one by one in phase 1; default: 6"
    parser.add_argument("--annotated-fps", type=float, default=6.0, metavar="N", help=phase_1)
    proposals = parser.add_argument_group("proposals")
    proposals.add_argument("--propose", action="store_true", help="find everything, and follow it (takes its time)")
    tracked = "the output folder of `sam2_ros track`, or its masklets.db"
    proposals.add_argument("--tracked", type=Path, metavar="FOLDER", help=tracked)
    rejected = "also what was found and rejected, as rejected, with the reason"
    proposals.add_argument("--rejected", action="store_true", help=rejected)
    proposals.add_argument("--restart", action="store_true", help="forget an earlier search, and search again")
    add_search(proposals)
    add_model(parser.add_argument_group("model"))

    def check(options: argparse.Namespace) -> str | None:
        if options.propose and options.tracked:
            return "--propose and --tracked exclude each other; give the command twice"
        if options.rejected and not (options.propose or options.tracked):
            return "--rejected is about proposals; add --propose or --tracked FOLDER"
        return "--max-objects must be positive" if options.max_objects < 1 else None

    return parser, check


def _show() -> tuple[CommandParser, Check]:
    parser = _parser(
        "Shows what is in a project: objects, how much was done in each phase and how long it took; or pictures.",
        """
        %(prog)s run1.annotation --state open
        %(prog)s run1.annotation --sheet sheet.jpg --strip 3 cup.png --frame 4.5s frame.png
        """,
    )
    _add_project(parser, by=False)
    states = ("proposed", "open", "verified", "rejected")
    parser.add_argument("--state", choices=states, help="only objects that are so", metavar="STATE")
    parser.add_argument("--all", action="store_true", help="list all objects, however many there are")
    picture = {"type": str, "action": "append", "default": []}
    parser.add_argument("--sheet", type=_picture, metavar="FILE", help="picture of a dozen frames with their masks")
    strip = "picture of an object at ten moments of its life; can be given several times"
    parser.add_argument("--strip", nargs=2, metavar=("OBJECT", "FILE"), help=strip, **picture)  # type: ignore[arg-type]
    frame = "picture of a frame, 120 or 4.5s, with its masks and prompts; can be given several times"
    parser.add_argument("--frame", nargs=2, metavar=("WHEN", "FILE"), help=frame, **picture)  # type: ignore[arg-type]

    def check(options: argparse.Namespace) -> str | None:
        try:
            options.strip = [(_object(number), _picture(file)) for number, file in options.strip]
            options.frame = [(_moment(when), _picture(file)) for when, file in options.frame]
        except argparse.ArgumentTypeError as error:
            return f"--strip or --frame: {error}"
        return None

    return parser, check


def _prompt() -> tuple[CommandParser, Check]:
    parser = _parser(
        "Segments an object on a frame by clicks or a box, and stores the mask. Other frames stay as they are, until"
        " `propagate`.",
        """
        %(prog)s run1.annotation --at 4.5s --click 640,360-700,380 --label cup    (a new object)
        %(prog)s run1.annotation 3 --at 120 --click 650,390                       (one more click on object 3)
        """,
        "%(prog)s PROJECT [OBJECT] --at WHEN (--click X,Y | --box X,Y,W,H) [options]",
        rare=True,
    )
    _add_project(parser)
    parser.add_argument("object", metavar="OBJECT", type=_object, nargs="?", help="its number; none: a new object")
    _add_frame(parser, required=True)
    pointed = parser.add_mutually_exclusive_group(required=True)
    click = "pixel of the object; further ones after + (on it) and - (not on it)"
    pointed.add_argument("--click", dest="prompt", type=argument(parse_click), metavar="X,Y", help=click)
    box = "box around it, from which the mask begins anew; clicks may follow"
    pointed.add_argument("--box", dest="prompt", type=argument(parse_box), metavar="X,Y,W,H", help=box)
    phase = (
        "1: on this frame alone. 2: the same, in the place of a mask that was propagated. 3: with memory of other"
        " frames, correcting what is there. Default: 1 for a new object, else 3"
    )
    parser.add_argument("--phase", type=int, choices=(1, 2, 3), metavar="N", help=phase)
    _add_seconds(parser)
    _add_new_object(parser)
    add_model(parser.add_argument_group("model"))
    return parser, _check_label


def _draw() -> tuple[CommandParser, Check]:
    parser = _parser(
        "Stores a mask that was drawn by hand, pixel by pixel as it is; or that an object isn't visible on a frame.",
        """
        %(prog)s run1.annotation --at 120 --mask cup.png --label cup    (a new object)
        %(prog)s run1.annotation 3 --at 140 --absent
        """,
        "%(prog)s PROJECT [OBJECT] --at WHEN (--mask FILE | --absent) [options]",
    )
    _add_project(parser)
    parser.add_argument("object", metavar="OBJECT", type=_object, nargs="?", help="its number; none: a new object")
    _add_frame(parser, required=True)
    drawn = parser.add_mutually_exclusive_group(required=True)
    drawn.add_argument("--mask", metavar="FILE", help="image of the frame's size that is black beside the object")
    drawn.add_argument("--absent", action="store_true", help="the object is not visible")
    parser.add_argument("--phase", type=int, choices=(1, 2, 3), default=1, metavar="N", help="default: 1")
    _add_seconds(parser)
    _add_new_object(parser)

    def check(options: argparse.Namespace) -> str | None:
        if options.absent and options.object is None:
            return "--absent: say which OBJECT is not visible"
        return _check_label(options)

    return parser, check


def _propagate() -> tuple[CommandParser, Check]:
    parser = _parser(
        "Follows an object from a frame on which its mask was made by hand (`prompt`, `draw`), forwards to the last"
        " frame and backwards to the first. Masks by hand on other frames stay, and are followed as well.",
        """
        %(prog)s run1.annotation 3
        %(prog)s run1.annotation 3 --at 120 --from 100 --to 9s --phase 2
        """,
        "%(prog)s PROJECT OBJECT [options]",
        rare=True,
    )
    _add_project(parser)
    parser.add_argument("object", metavar="OBJECT", type=_object, help="its number")
    parser.add_argument("--at", type=_moment, metavar="WHEN", help="default: the frame with its newest mask by hand")
    parser.add_argument("--from", dest="begin", type=_moment, metavar="WHEN", help="first frame; default: all")
    parser.add_argument("--to", dest="end", type=_moment, metavar="WHEN", help="last frame")
    parser.add_argument("--phase", type=int, choices=(2, 3), default=3, metavar="N", help="2 or 3; default: 3")
    _add_seconds(parser)
    add_model(parser.add_argument_group("model"))
    return parser, _fine


def _label() -> tuple[CommandParser, Check]:
    parser = _parser(
        "Names an object.",
        """
        %(prog)s run1.annotation 3 cup
        %(prog)s run1.annotation 3 --attribute colour=red size=
        """,
        "%(prog)s PROJECT OBJECT [NAME] [options]",
    )
    _add_project(parser, recording=False)
    parser.add_argument("object", metavar="OBJECT", type=_object, help="its number")
    parser.add_argument("label", metavar="NAME", nargs="?", help="'' takes the name away")
    attribute = "attributes; an empty value takes one away"
    parser.add_argument("--attribute", nargs="+", type=_attribute, default=[], metavar="KEY=VALUE", help=attribute)

    def check(options: argparse.Namespace) -> str | None:
        given = options.label is not None or options.attribute
        return None if given else "give the NAME, or --attribute KEY=VALUE"

    return parser, check


def _remove() -> tuple[CommandParser, Check]:
    parser = _parser(
        "Forgets the mask of an object on a frame, and the clicks there: whether it is visible there is unknown then."
        " What is no object at all is rejected: `verify PROJECT OBJECT no-object`.",
        "%(prog)s run1.annotation 3 --at 120",
        "%(prog)s PROJECT OBJECT --at WHEN [options]",
    )
    _add_project(parser)
    parser.add_argument("object", metavar="OBJECT", type=_object, help="its number")
    _add_frame(parser, required=True)
    return parser, _fine


def _undo() -> tuple[CommandParser, Check]:
    description = "Undoes your last action that is not undone yet; not if somebody has changed the same since then."
    parser = _parser(description, "%(prog)s run1.annotation")
    _add_project(parser, recording=False)
    return parser, _fine


def _redo() -> tuple[CommandParser, Check]:
    parser = _parser("Does again what you have undone last.", "%(prog)s run1.annotation")
    _add_project(parser, recording=False)
    return parser, _fine


def _log() -> tuple[CommandParser, Check]:
    parser = _parser(
        "Lists actions: who did what, when, and how long it took.",
        """
        %(prog)s run1.annotation --last 5
        %(prog)s run1.annotation --object 3 --by ann
        """,
    )
    _add_project(parser, by=False, recording=False)
    parser.add_argument("--by", metavar="NAME", help="only those of one annotator")
    parser.add_argument("--object", type=_object, metavar="OBJECT", help="only those on one object")
    parser.add_argument("--last", type=int, default=20, metavar="N", help="the last ones; 0: all; default: 20")
    return parser, _fine


def _verify() -> tuple[CommandParser, Check]:
    parser = _parser(
        "Without a verdict: lists what waits for yours, with a film strip of each; on a terminal, asks for it. Nobody"
        " judges their own work. Satisfactory: it is verified. Unsatisfactory: back to phase 3. No object: rejected.",
        """
        %(prog)s run1.annotation --by ben
        %(prog)s run1.annotation 3 satisfactory --by ben
        %(prog)s run1.annotation 4 unsatisfactory --reason "drifts onto the plate"
        """,
        "%(prog)s PROJECT [OBJECT VERDICT] [options]",
    )
    _add_project(parser)
    parser.add_argument("object", metavar="OBJECT", type=_object, nargs="?", help="its number")
    parser.add_argument("verdict", metavar="VERDICT", choices=VERDICTS, nargs="?", help=", ".join(VERDICTS))
    parser.add_argument("--reason", default="", metavar="TEXT", help="why")
    parser.add_argument("--own", action="store_true", help="judge your own work all the same")
    seen = "last action when you looked (the list says it): refused if it was changed since then; default: now"
    parser.add_argument("--seen", type=int, metavar="N", help=seen)
    parser.add_argument("--next", type=int, default=5, metavar="N", help="how many film strips; default: 5")
    parser.add_argument("--strips", type=Path, metavar="FOLDER", help="where they go; default: PROJECT/strips")

    def check(options: argparse.Namespace) -> str | None:
        if options.object is not None and options.verdict is None:
            return f"say what you think of object {options.object}: {', '.join(VERDICTS)}"
        return None

    return parser, check


def _export() -> tuple[CommandParser, Check]:
    parser = _parser(
        "Writes the verified masklets of projects as data sets, one folder a format, and as bags that `train` and"
        " `evaluate` read. Masklets that are not verified are refused, unless you say what to do with them.",
        """
        %(prog)s run1.annotation run2.annotation --out data --format sav coco
        %(prog)s run1.annotation --out data --format bag --verified-only
        """,
        "%(prog)s PROJECT... --out FOLDER --format NAME... [options]",
    )
    parser.add_argument("projects", metavar="PROJECT", nargs="+", type=Path, help="folders of projects")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the data set's folder")
    parser.add_argument(
        "--format", nargs="+", action="extend", choices=FORMATS, required=True, metavar="NAME",
        help=f"one or more of {', '.join(FORMATS)}",
    )  # fmt: skip
    unverified = parser.add_mutually_exclusive_group()
    unverified.add_argument("--unverified", action="store_true", help="export those that are not verified as well")
    unverified.add_argument("--verified-only", action="store_true", help="leave them out")
    recordings = "where recordings are now that were moved"
    parser.add_argument("--recordings", type=Path, nargs="+", default=[], metavar="FOLDER", help=recordings)
    return parser, _fine


_PARSERS: dict[str, Callable[[], tuple[CommandParser, Check]]] = {
    "new": _new,
    "show": _show,
    "prompt": _prompt,
    "draw": _draw,
    "propagate": _propagate,
    "label": _label,
    "remove": _remove,
    "undo": _undo,
    "redo": _redo,
    "log": _log,
    "verify": _verify,
    "export": _export,
}


def _parser(
    description: str, examples: str, usage: str = "%(prog)s PROJECT [options]", rare: bool = False
) -> CommandParser:
    return CommandParser("sam2_ros.commands.annotate", description, examples, usage, rare)


def _add_project(parser: CommandParser, by: bool = True, recording: bool = True) -> None:
    parser.add_argument("project", metavar="PROJECT", type=Path, help="folder of the project")
    if by:
        parser.add_argument("--by", metavar="NAME", help="who does it; default: your login name")
    if recording:
        text = "where the recording is now, if it was moved; the project remembers it"
        parser.add_argument("--recording", type=Path, metavar="PATH", help=text)


def _add_frame(parser: CommandParser, required: bool) -> None:
    parser.add_argument("--at", type=_moment, required=required, metavar="WHEN", help="the frame: 120, or 4.5s")


def _add_new_object(parser: CommandParser) -> None:
    parser.add_argument("--label", default="", metavar="NAME", help="of a new object")
    picture = "write the frame with its masks and prompts (.png, .jpg)"
    parser.add_argument("--picture", type=_picture, metavar="FILE", help=picture)


def _add_seconds(parser: CommandParser) -> None:
    seconds = "how long it took you, for the table of phases; default: not known, and counted as nothing"
    parser.add_argument("--seconds", type=_seconds, default=0.0, metavar="S", help=seconds)


def _check_label(options: argparse.Namespace) -> str | None:
    if options.label and options.object is not None:
        return f"--label is for new objects; name this one by `label PROJECT {options.object} {options.label}`"
    return None


_moment = argument(Moment.parse)


def _object(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:19]) <= MAX_OBJECT_ID:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of an object (1, 2, ...; `show` lists them)")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def _picture(text: str) -> Path:
    if Path(text).suffix.lower() not in PICTURES:
        raise argparse.ArgumentTypeError(f"{text} is no name of a picture; end it with {', '.join(PICTURES)}")
    return Path(text)


def _attribute(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no attribute; expected KEY=VALUE")
    return key, value
