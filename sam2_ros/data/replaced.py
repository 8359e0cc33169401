"""Files that appear under their names only when they are complete: a kill or a full disk leaves the earlier one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def partial(file: Path) -> Path:
    """The hidden name beside a file under which it is written."""
    return file.with_name(f".{file.name}.part")


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A path to write to, which replaces `file` afterwards; nothing stays if that fails. Makes its folder.

    Raises:
        OSError: it cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = partial(file)
    try:
        yield part
        os.replace(part, file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
