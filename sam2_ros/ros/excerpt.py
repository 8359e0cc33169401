"""What others have written, where it is repeated: in the log and in answers."""

from __future__ import annotations

LONGEST = 400
"""Characters of a line."""


def excerpt(text: str, longest: int = LONGEST) -> str:
    """A text in one line that can be shown: its middle left out where it is too long, control characters escaped."""
    if len(text) > longest:
        left_out = f" ... ({len(text)} characters) ... "
        kept = max(0, longest - len(left_out))
        text = text[: kept - kept // 3] + left_out + text[len(text) - kept // 3 :]
    if text.isprintable():
        return text
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= 2 * longest else shown[: 2 * longest]
