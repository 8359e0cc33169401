"""What is wrong with files of parameters, and with the names in them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from rclpy.node import Node

HEADING = "ros__parameters"


def explain(arguments: list[str], error: str) -> str:
    """Why ROS could not understand its arguments, in one line.

    Args:
        arguments: of the process.
        error: what rclpy says.
    """
    for file in files(arguments):
        if str(file) in error and (problem := _problem(file)):
            return f"{file}: {problem}"
    # "...: Couldn't parse remap rule: '-r a:=1b'. Error: error not set, at /project/src/rcl/arguments.c:380"
    error = re.sub(r"(, at [^\s,]+:\d+)+(?=,|$)|\.? Error: error not set", "", error).strip()
    return " ".join(error.split())


def files(arguments: list[str]) -> list[Path]:
    """The files of parameters among the arguments of a process."""
    return [Path(file) for word, file in pairwise(arguments) if word == "--params-file"]


def warn_of_unused(node: Node, arguments: list[str]) -> None:
    """Warns of parameters that were given and that the node does not have, and of files that are not about it.

    Call it when all are declared. Overrides of QoS are left out: see `unused_qos`.
    """
    log = node.get_logger()
    known = [parameter for parameter in node._parameters if not parameter.startswith("qos_overrides.")]
    for name in _undeclared(node):
        if not name.startswith("qos_overrides."):
            log.warning(f"There is no parameter {name}, so it has no effect{_nearest(name, known)}")
    own = node.get_fully_qualified_name()
    for file in files(arguments):
        try:
            there = sorted({pattern for pattern, _, _ in _walk(yaml.safe_load(file.read_text())) if pattern})
        except (OSError, ValueError, yaml.YAMLError):
            continue  # ROS has read it
        if there and not any(_fits(pattern, own) for pattern in there):
            names = ", ".join(there)
            log.warning(f"Nothing in {file} has an effect: it is about {names}, and this node is {own} (`/**`: any)")


def unused_qos(node: Node) -> list[str]:
    """Overrides of QoS that belong to no topic of the node, as one line each. Call it when all topics are there."""
    known = [parameter for parameter in node._parameters if parameter.startswith("qos_overrides.")]
    unused = [name for name in _undeclared(node) if name.startswith("qos_overrides.")]
    return [f"{name} has no effect: no topic of this node has that{_nearest(name, known)}" for name in unused]


def _undeclared(node: Node) -> list[str]:
    return sorted(node._parameter_overrides.keys() - node._parameters.keys())


def _nearest(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"; is {nearest[0]} meant?" if nearest else ""


def _problem(file: Path) -> str | None:
    """What is wrong with a file, if that can be seen."""
    try:
        content = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        return "there is no such file"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        return "is not a text file"
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        return f"{line}is not YAML ({error.problem})"
    except yaml.YAMLError as error:
        return f"is not YAML ({' '.join(str(error).split())})"
    form = f"the form is  /**: {{{HEADING}: {{NAME: VALUE}}}}  or the same in lines of their own"
    if not isinstance(content, dict):
        return f"holds no parameters; {form}"
    for pattern, name, value in _walk(content):
        if pattern is None:
            *_, last = name.split(".")
            for word in name.split(".")[:-1]:
                if difflib.get_close_matches(word, [HEADING], cutoff=0.8):
                    return f"`{word}` must be {HEADING}, with two underscores"
            return f"`{last}: {value}` stands outside of {HEADING}; {form}"
    return None


def _walk(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str | None, str, Any]]:
    """Node pattern (None: outside of ros__parameters), name and value of each parameter."""
    if not isinstance(content, dict):
        yield None, ".".join(path), content
        return
    for key, value in content.items():
        if key == HEADING:
            pattern = "/" + "/".join(part.strip("/") for part in path if part.strip("/"))
            yield pattern, HEADING, value
        else:
            yield from _walk(value, (*path, str(key)))


def _fits(pattern: str, name: str) -> bool:
    """Whether a node's full name is meant. `*` is one part of it, `**` any number."""
    expression = "".join(
        r"(/[^/]+)*" if part == "**" else r"/[^/]+" if part == "*" else "/" + re.escape(part)
        for part in pattern.strip("/").split("/")
    )
    return re.fullmatch(expression, name) is not None
