"""Settings: dataclasses whose values come from the tables of a TOML file, and are checked on the way."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

AUTO = "auto"
"""Word for None in files, since TOML has none."""


@dataclass(frozen=True)
class Bounds:
    """The range of a number, ends included."""

    low: float
    high: float = math.inf

    def __str__(self) -> str:
        return f"at least {self.low:g}" if math.isinf(self.high) else f"within {self.low:g} .. {self.high:g}"


Share = Annotated[float, Bounds(0, 1)]
NonNegative = Annotated[float, Bounds(0)]
Count = Annotated[int, Bounds(1)]
Index = Annotated[int, Bounds(0)]

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text in quotes"}


def changed(settings: T, values: Mapping[str, Any]) -> T:
    """Replace some values of a dataclass.

    Raises:
        ValueError: a name is unknown, or a value is of the wrong type or out of range; the message names it.
    """
    hints = get_type_hints(type(settings), include_extras=True)
    for name in values:
        if name not in hints:
            raise ValueError(f"there is no setting `{name}`{suggestion(name, hints)}")
    return replace(settings, **{name: _checked(name, value, hints[name]) for name, value in values.items()})  # type: ignore[type-var]


def suggestion(name: str, known: Iterable[str]) -> str:
    """The known name that is nearest to a wrong one, as the end of a sentence; empty if none is near."""
    near = get_close_matches(name, known, n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def to_table(settings: Any) -> list[str]:
    """The lines of a TOML table with every value. Unchanged values that are None by default are left out."""
    lines = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value is not None or field.default is not None:
            lines.append(f"{field.name} = {_to_toml(value)}")
    return lines


def _checked(name: str, value: Any, hint: Any) -> Any:
    """A value of a file as one of a dataclass, whose field has this type."""
    alternatives = [hint] if get_origin(hint) is Annotated else get_args(hint) or [hint]
    optional = NoneType in alternatives
    if optional and value in (AUTO, None):
        return None
    kind = next(one for one in alternatives if one is not NoneType)
    bounds = None
    if get_origin(kind) is Annotated:
        kind, bounds = get_args(kind)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        expected = _WORDS[kind] + (f' or "{AUTO}"' if optional else "")
        raise ValueError(f"`{name}` must be {expected}, not {_to_toml(value)}")
    if bounds is not None and not bounds.low <= value <= bounds.high:
        raise ValueError(f"`{name}` must be {bounds}, not {_to_toml(value)}")
    return value


def _to_toml(value: Any) -> str:
    if value is None:
        return f'"{AUTO}"'
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, str) else str(value)
