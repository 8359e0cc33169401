"""Errors in parameter files, and parameters without effect."""

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
    """The reason why ROS could not parse its arguments, in one line.

    Args:
        arguments: the arguments of the process.
        error: rclpy's message.
    """
    for file in files(arguments):
        if str(file) in error and (problem := _problem(file)):
            return f"{file}: {problem}"
    # "...: Couldn't parse remap rule: '-r a:=1b'. Error: error not set, at /project/src/rcl/arguments.c:380"
    error = re.sub(r"(, at [^\s,]+:\d+)+(?=,|$)|\.? Error: error not set", "", error).strip()
    return " ".join(error.split())


def files(arguments: list[str]) -> list[Path]:
    """The parameter files among the arguments of a process."""
    return [Path(file) for word, file in pairwise(arguments) if word == "--params-file"]


def warn_of_unused(node: Node, arguments: list[str]) -> None:
    """Warns of parameters that the node does not have, and of files that do not apply to it.

    Call it after all parameters are declared. QoS overrides are not checked: see `unused_qos`.
    """
    log = node.get_logger()
    declared = [parameter for parameter in node._parameters if not parameter.startswith("qos_overrides.")]
    for name in _undeclared(node):
        if not name.startswith("qos_overrides."):
            log.warning(f"There is no parameter {name}, so it has no effect{_suggestion(name, declared)}")
    own = node.get_fully_qualified_name()
    for file in files(arguments):
        try:
            patterns = sorted({pattern for pattern, _, _ in _walk(yaml.safe_load(file.read_text())) if pattern})
        except (OSError, ValueError, yaml.YAMLError):
            continue  # ROS has read it nevertheless
        if patterns and not any(_matches(pattern, own) for pattern in patterns):
            names = ", ".join(patterns)
            log.warning(f"Nothing in {file} has an effect: it is for {names}, and this node is {own} (`/**`: any)")


def unused_qos(node: Node) -> list[str]:
    """One line for each QoS override without a topic of the node. Call it after all topics exist."""
    declared = [parameter for parameter in node._parameters if parameter.startswith("qos_overrides.")]
    unused = [name for name in _undeclared(node) if name.startswith("qos_overrides.")]
    return [f"{name} has no effect: no topic of this node has that{_suggestion(name, declared)}" for name in unused]


def _undeclared(node: Node) -> list[str]:
    return sorted(node._parameter_overrides.keys() - node._parameters.keys())


def _suggestion(name: str, declared: list[str]) -> str:
    nearest = difflib.get_close_matches(name, declared, n=1)
    return f"; is {nearest[0]} meant?" if nearest else ""


def _problem(file: Path) -> str | None:
    """The error in a file; None: none was detected."""
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


def _matches(pattern: str, name: str) -> bool:
    """Whether a pattern matches a node's full name. `*` is one part of it, `**` any number."""
    expression = "".join(
        r"(/[^/]+)*" if part == "**" else r"/[^/]+" if part == "*" else "/" + re.escape(part)
        for part in pattern.strip("/").split("/")
    )
    return re.fullmatch(expression, name) is not None
