"""SQLite's errors as errors that say what to do."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Remedies:
    """What to say of a database, each after its name."""

    full: str
    """There is no room on the disk."""
    read_only: str
    """It cannot be opened or written."""
    locked: str
    """Another process holds it."""
    damaged: str
    foreign: str = ""
    """It has other tables; empty: SQLite's own words are said."""


@contextmanager
def sqlite_errors(file: Path, remedies: Remedies) -> Iterator[None]:
    """Turn SQLite's errors inside into OSErrors that name the file."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        if "full" in text:
            number, remedy = errno.ENOSPC, remedies.full
        elif "readonly" in text or "unable to open" in text:
            number, remedy = errno.EACCES, remedies.read_only
        elif "locked" in text or "busy" in text:
            number, remedy = errno.EBUSY, remedies.locked
        elif remedies.foreign and ("no such" in text or "has no column" in text):
            number, remedy = errno.EIO, remedies.foreign
        elif "not a database" in text or "malformed" in text:
            number, remedy = errno.EIO, remedies.damaged
        else:
            number, remedy = errno.EIO, text
        raise OSError(number, remedy, str(file)) from error
