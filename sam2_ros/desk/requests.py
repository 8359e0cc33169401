"""What pages ask for: JSON from anybody, checked before anything is done with it."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from sam2_ros.desk.event import Event
from sam2_ros.desk.refusal import Refusal

MAX_DEPTH = 12
"""How deep lists and objects of a request may lie in each other."""

MAX_TEXT = 1024
"""Letters of a text, unless a request says otherwise."""

MAX_ID = 2**53
"""JavaScript counts to here without gaps."""

_WHOLE = re.compile(r"-?[0-9]{1,19}")


def parse(text: str) -> Event:
    """The request in a message.

    Raises:
        Refusal: it is no JSON object with a type, or lies too deep.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # also of a number with thousands of digits
        raise Refusal("this is no JSON that the desk reads; reload the page") from None
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise Refusal("a request is a JSON object with a type; reload the page")
    if _deeper_than(value, MAX_DEPTH):
        raise Refusal(f"the request lies more than {MAX_DEPTH} lists or objects deep; reload the page")
    return value


def request_id(request: Event) -> int | None:
    """The number under which the page waits for the answer; None: it waits for none."""
    number = request.get("id")
    return number if type(number) is int and 0 <= number <= MAX_ID else None


def text(request: Event, name: str, most: int = MAX_TEXT, default: str | None = None) -> str:
    """A text of a request, of at most so many letters.

    Args:
        default: if it is left out or null; None: it must be there.

    Raises:
        Refusal: there is none, or it cannot be kept as UTF-8.
    """
    value = request.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise Refusal(f"{name} must be a text")
    if len(value) > most:
        raise Refusal(f"{name} has {len(value)} letters; at most {most} are possible")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Refusal(f"{name} cannot be kept as UTF-8; leave out NUL and halves of letters")
    return value


def whole(request: Event, name: str, least: int, most: int, default: int | None = None) -> int:
    """A whole number of a request, between `least` and `most`, both included. A stamp may be text of digits.

    Args:
        default: if it is left out or null; None: it must be there.

    Raises:
        Refusal: there is none in this range.
    """
    value = request.get(name)
    if value is None and default is not None:
        return default
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or not least <= value <= most:
        raise Refusal(f"{name} must be a whole number from {least} to {most}")
    return value


def number(request: Event, name: str, least: float, most: float, default: float | None = None) -> float:
    """A number of a request, between `least` and `most`, both included. Arguments and errors are those of `whole`."""
    value = request.get(name)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise Refusal(f"{name} must be a number from {least:g} to {most:g}")
    return float(value)


def flag(request: Event, name: str, default: bool | None = None) -> bool:
    """True or false of a request. Arguments and errors are those of `text`."""
    value = request.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, bool):
        raise Refusal(f"{name} must be true or false")
    return value


def choice(request: Event, name: str, choices: tuple[str, ...]) -> str:
    """One of these texts.

    Raises:
        Refusal: it is another one.
    """
    value = request.get(name)
    if not isinstance(value, str) or value not in choices:
        raise Refusal(f"{name} must be one of: {', '.join(choices)}")
    return value


def texts(request: Event, name: str, most: int, letters: int = MAX_TEXT) -> list[str]:
    """A list of at most so many texts, each of at most so many letters.

    Raises:
        Refusal: it is no such list.
    """
    values = request.get(name)
    if not isinstance(values, list) or len(values) > most:
        raise Refusal(f"{name} must be a list of at most {most} texts")
    return [text({name: value}, name, letters) for value in values]


def mapping(request: Event, name: str) -> Event:
    """An object within a request.

    Raises:
        Refusal: there is none.
    """
    value = request.get(name)
    if not isinstance(value, dict):
        raise Refusal(f"{name} must be an object")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _deeper_than(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            entry
            for around in level
            for entry in (around.values() if isinstance(around, dict) else around)
            if isinstance(entry, (dict, list))
        ]
        if not level:
            return False
    return True
