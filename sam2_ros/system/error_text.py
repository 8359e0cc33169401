"""What to say of an error."""

from __future__ import annotations


def one_line(error: BaseException) -> str:
    """An error in one line: of a file, its name and what is wrong."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
