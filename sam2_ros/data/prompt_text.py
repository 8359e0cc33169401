"""Prompts as text: read from the command line, and described for people."""

from __future__ import annotations

import re

from sam2_ros.data.mask_file import read_mask
from sam2_ros.data.timed_prompt import Moment, TimedPrompt
from sam2_ros.tracking.prompt import Box, Click, Prompt

_NUMBER = r"\d{1,9}(?:\.\d*)?"
_CLICK = re.compile(rf"(?P<sign>[+-]?)(?P<x>{_NUMBER}),(?P<y>{_NUMBER})")
_BOX = re.compile(rf"({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})(?=[+-]|$)")
_WHEN = re.compile(r"[\d.]+s?")


def parse_click(text: str) -> Prompt:
    """An object under clicks, the first of which is positive. Raises ValueError."""
    clicks = _clicks(text)
    if not clicks[0].positive:
        raise ValueError(
            f"{text!r} begins with -, as clicks beside the object do; the first has to be on it, with X and Y from 0"
        )
    return Prompt(clicks=clicks)


def parse_box(text: str) -> Prompt:
    """An object in a box `X,Y,WIDTH,HEIGHT`, optionally with clicks after + or -. Raises ValueError."""
    match = _BOX.match(text)
    if not match:
        raise ValueError(f"{text!r} is no box; expected X,Y,WIDTH,HEIGHT")
    rest = text[match.end() :]
    return Prompt(clicks=_clicks(rest) if rest else (), box=Box(*(round(float(side)) for side in match.groups())))


def parse_mask(file: str) -> Prompt:
    """An object shown by a mask in an image file. Raises ValueError."""
    return Prompt(mask=read_mask(file))


PARSERS = {"click": parse_click, "box": parse_box, "mask": parse_mask}


def parse_timed(kind: str, text: str) -> TimedPrompt:
    """A prompt for some image of a recording: `640,360`, on the first; `640,360@120`, `640,360@4.5s`.

    Args:
        kind: a key of `PARSERS`.

    Raises:
        ValueError: the text has another form, or the mask cannot be read.
    """
    form, at, when = text.rpartition("@")
    if not at or (kind == "mask" and not _WHEN.fullmatch(when)):  # names of files may have an @
        return TimedPrompt(PARSERS[kind](text), None, f"--{kind} {text}")
    return TimedPrompt(PARSERS[kind](form), Moment.parse(when), f"--{kind} {text}")


def describe(prompt: Prompt) -> str:
    """A prompt in words, such as "click 640,360 and negative click 700,380"."""
    parts = [] if prompt.box is None else ["box {:g},{:g},{:g},{:g}".format(*prompt.box)]
    parts += [] if prompt.mask is None else ["mask"]
    kinds = {True: "click", False: "negative click"}
    parts += [f"{kinds[positive]} {x:g},{y:g}" for x, y, positive in prompt.clicks]
    return " and ".join(parts)


def _clicks(text: str) -> tuple[Click, ...]:
    """`640,360`, and more clicks on the same object after + (positive) or - (negative): `640,360+650,380-700,400`.

    Raises:
        ValueError: the text has another form.
    """
    matches = list(_CLICK.finditer(text))
    if not matches or "".join(match[0] for match in matches) != text or any(not match["sign"] for match in matches[1:]):
        raise ValueError(f"{text!r} is no click; expected X,Y, or X,Y+X,Y-X,Y with more clicks on the same object")
    return tuple(Click(float(match["x"]), float(match["y"]), match["sign"] != "-") for match in matches)
