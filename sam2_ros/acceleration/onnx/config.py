"""The configuration of exported graphs: a `config.json` beside them, whose values are all checked."""

from __future__ import annotations

import json
import reprlib
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from sam2_ros.acceleration.onnx.errors import EXPORT_AGAIN, GraphError
from sam2_ros.model.config import SAM2Config

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CONFIG = "config.json"
"""Name of the file."""

MAX_CONFIG = 1 << 16
"""Maximum bytes of a config.json; about 1,000 are usual."""

MAX_NUMBER = 1 << 16
"""Maximum of any size or count in it."""

D = TypeVar("D", bound="DataclassInstance")


def write_config(config: SAM2Config, folder: Path) -> None:
    """Write the configuration of exported graphs beside them."""
    (folder / CONFIG).write_text(json.dumps(asdict(config), indent=1) + "\n")


def read_config(folder: str | Path) -> SAM2Config:
    """The configuration of the network whose graphs are in a folder.

    Raises:
        GraphError: it is missing, or `export` has not written it.
    """
    file = Path(folder) / CONFIG
    try:
        with open(file, "rb") as opened:
            text = opened.read(MAX_CONFIG + 1)
        if len(text) > MAX_CONFIG:
            raise GraphError(f"{file}: has more than {MAX_CONFIG} bytes. {EXPORT_AGAIN}")
        content = json.loads(text)
    except FileNotFoundError:
        raise GraphError(f"{file}: no such file. {EXPORT_AGAIN}") from None
    except OSError as error:
        raise GraphError(f"{file}: cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise GraphError(f"{file}: not readable as JSON ({error}). {EXPORT_AGAIN}") from error
    return _parsed(SAM2Config, content, f"{file}: ")


def _parsed(kind: type[D], content: object, where: str) -> D:
    """A dataclass from a JSON object, whose values are all checked; error messages begin with `where`."""
    if not isinstance(content, dict):
        raise GraphError(f"{where}{reprlib.repr(content)} instead of an object with keys. {EXPORT_AGAIN}")
    types = get_type_hints(kind)
    if unknown := [key for key in content if key not in types]:
        raise GraphError(f"{where}the key {unknown[0][:50]!r} is unknown. {EXPORT_AGAIN}")
    values = {}
    for field in fields(kind):
        if field.name in content:
            values[field.name] = _value(types[field.name], content[field.name], f"{where}{field.name}")
        elif field.default is MISSING:
            raise GraphError(f"{where}the key {field.name!r} is missing. {EXPORT_AGAIN}")
    try:
        return kind(**values)
    except ValueError as error:
        raise GraphError(f"{where}{error}") from error


def _value(kind: Any, value: object, where: str) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        return _parsed(kind, value, f"{where}.")
    items = get_args(kind)
    if get_origin(kind) is tuple:
        many = len(value) if items[-1] is Ellipsis and isinstance(value, list) else len(items)
        if isinstance(value, list) and len(value) == many and all(_is_integer(item, 0) for item in value):
            return tuple(value)
        expected = "a list of whole numbers" if items[-1] is Ellipsis else f"a list of {len(items)} whole numbers"
    elif kind is str:
        if isinstance(value, str) and 0 < len(value) < 100:
            return value
        expected = "a text"
    elif kind is bool:
        if isinstance(value, bool):
            return value
        expected = "true or false"
    elif kind is int:
        if _is_integer(value, 1):
            return value
        expected = f"a whole number from 1 to {MAX_NUMBER}"
    else:
        if value is None and type(None) in items:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_NUMBER:
            return float(value)
        expected = "a number"
    raise GraphError(f"{where} is {reprlib.repr(value)} instead of {expected}. {EXPORT_AGAIN}")


def _is_integer(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= MAX_NUMBER
