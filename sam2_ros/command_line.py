"""Command lines: the words that the user typed, and helps that fit one screen."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar

MODELS = "default, sam2.1_hiera_tiny, _small, _base_plus, _large; version 2.0: sam2_hiera_tiny, ..."
"""The names of models, in fewer words than all of them."""

FORMS = ("sam2_ros ", "python -m sam2_ros ", "ros2 run sam2_ros ")
"""How commands are started by name: `sam2_ros.commands.main` puts this and the name into `sys.argv[0]`."""


Value = TypeVar("Value")


def typed(module: str) -> str:
    """The words that started this program: `sam2_ros train`, or `python -m MODULE`."""
    return sys.argv[0] if sys.argv[0].startswith(FORMS) else f"python -m {module}"


def argument(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """The type of an option: what is wrong with a value is said in the words of the ValueError."""

    def parse_argument(text: str) -> Value:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse_argument


def unknown(kind: str, name: str, known: Collection[str], program: str) -> str:
    """What to say of a command or the like that does not exist: the nearest one."""
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"do you mean `{program} {near[0]}`?" if near else f"`{program} --help` lists them"
    return f"there is no {kind} {name!r}; {hint}"


class Rare(str):
    """The help of an option that is rarely needed: only `--help-all` shows it."""


class CommandParser(argparse.ArgumentParser):
    """The parser of one command.

    Args:
        module: the command's module, for those who start it by `python -m`.
        description: what it does, in a sentence; paragraphs are wrapped.
        examples: whole lines; `%(prog)s` stands for the words that start the command.
        usage: without "usage: "; None: made from the options, which gets long if there are many.
        rare: there are options whose help is `Rare`.
    """

    def __init__(
        self, module: str, description: str, examples: str, usage: str | None = None, rare: bool = False
    ) -> None:
        width = max(shutil.get_terminal_size().columns - 2, 40)  # as argparse does
        super().__init__(
            typed(module),
            usage,
            "\n\n".join(textwrap.fill(paragraph, width) for paragraph in description.split("\n\n")),
            "examples:\n" + "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines()),
            formatter_class=_Help,
        )
        # `--click -5,1` is a value, and a wrong one: argparse would say that there is none
        self._negative_number_matcher = re.compile(r"-\.?\d")
        if rare:
            self.add_argument("--help-all", action=_HelpAll, help="show all options, those that are rarely needed too")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Wide enough that most options take one line."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)

    def add_arguments(self, actions: Iterable[argparse.Action]) -> None:
        super().add_arguments(action for action in actions if not isinstance(action.help, Rare))


class _WholeHelp(_Help):
    def add_arguments(self, actions: Iterable[argparse.Action]) -> None:
        argparse.RawDescriptionHelpFormatter.add_arguments(self, actions)


class _HelpAll(argparse.Action):
    def __init__(self, option_strings: list[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        parser.formatter_class = _WholeHelp
        parser.print_help()
        parser.exit()
