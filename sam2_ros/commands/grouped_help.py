"""The help of a command that consists of others: what they are called, and what they do, by group."""

from __future__ import annotations

from collections.abc import Mapping


def grouped_help(
    usage: str, about: str, groups: Mapping[str, Mapping[str, str]], examples: str, program: str, more: str
) -> str:
    """The whole text.

    Args:
        usage: without "usage: ".
        about: a sentence.
        groups: summaries, by name, by title.
        examples: lines; `{program}` stands for the words that start the command.
        more: where to read on.
    """
    width = max(len(name) for summaries in groups.values() for name in summaries) + 2
    lines = [f"usage: {usage}", "", about]
    for title, summaries in groups.items():
        lines += ["", f"{title}:", *(f"  {name:<{width}}{summary}" for name, summary in summaries.items())]
    lines += ["", "examples:", examples.format(program=program).rstrip(), "", more]
    return "\n".join(lines) + "\n"
