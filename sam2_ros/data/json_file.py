"""JSON files and their required keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sam2_ros.data.clips import ClipError

Keys = Mapping[str, type | tuple[type, ...]]


def read_json(file: Path, keys: Keys) -> dict[str, Any]:
    """Read the object in a JSON file.

    Args:
        file: path.
        keys: required keys, with the types of their values.

    Raises:
        ClipError: the file is missing, is no JSON, or lacks a key.
    """
    try:
        value = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise ClipError(file, "the file is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ClipError(file, f"cannot be read as JSON: {error}") from error
    check_keys(file, value, keys)
    return value


def check_keys(file: Path, value: Any, keys: Keys, what: str = "") -> None:
    """Raise ClipError unless a value is a JSON object with these keys, and values of these types.

    Args:
        what: name of the value in messages, if it isn't the whole file.
    """
    prefix = f"{what}: " if what else ""
    if not isinstance(value, dict):
        raise ClipError(file, f"{prefix}is not a JSON object, {{...}}")
    for key, kind in keys.items():
        if key not in value:
            raise ClipError(file, f"{prefix}the key {key!r} is missing")
        if not isinstance(value[key], kind):
            raise ClipError(file, f"{prefix}the value of {key!r} is a {type(value[key]).__name__}")
