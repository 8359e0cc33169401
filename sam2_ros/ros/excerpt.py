"""Excerpts of foreign text, for the log and for answers."""

from __future__ import annotations

MAX_CHARACTERS = 400


def excerpt(text: str, max_characters: int = MAX_CHARACTERS) -> str:
    """A text as one printable line: the middle of a long one is left out, control characters are escaped."""
    if len(text) > max_characters:
        left_out = f" ... ({len(text)} characters) ... "
        kept = max(0, max_characters - len(left_out))
        text = text[: kept - kept // 3] + left_out + text[len(text) - kept // 3 :]
    if text.isprintable():
        return text
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return escaped if len(escaped) <= 2 * max_characters else escaped[: 2 * max_characters]
