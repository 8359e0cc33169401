"""Writing an output completely, or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sam2_ros.data.mcap_file import NO_ROOM

UNFINISHED = ".unfinished"
"""Folder beside the outputs, in which they are written."""

FULL = 1 << 20
"""Bytes: with less room a disk is full."""


def write_completely(place: Path, write: Callable[[Path], list[str]], note: Callable[[], None]) -> list[str]:
    """Write an output beside its place and move it there. A kill leaves the one before, none, or the new one.

    Args:
        place: its file or folder, which may be there already.
        write: writes it to a path, and returns what the user should know.
        note: notes whose output is in this place; called before it is there, so that it is known in any case.

    Returns:
        What `write` returns.

    Raises:
        OSError: the disk is full, or the folder cannot be written. The message says what to do.
    """
    unfinished = place.parent / UNFINISHED
    with _errors(place):
        try:
            unfinished.mkdir(parents=True)
            notes = write(unfinished / place.name)
            if place.exists():
                place.rename(unfinished / f"old {place.name}")
            note()
            (unfinished / place.name).rename(place)
        finally:
            remove_unfinished(place.parent)
    return notes


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Makes an output folder, and keeps other processes that ask for it out meanwhile.

    Raises:
        OSError: another process is writing into it, or it cannot be made. The message says what to do.
    """
    with _errors(out):
        out.mkdir(parents=True, exist_ok=True)
    folder = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            remedy = "another process is writing into it; wait until it is done, or choose another folder"
            raise OSError(errno.EBUSY, remedy, str(out)) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(folder)


def remove_unfinished(out: Path) -> None:
    """Remove what a killed process has left in an output folder."""
    if (out / UNFINISHED).is_dir():
        shutil.rmtree(out / UNFINISHED, ignore_errors=True)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Make OSErrors of writing say what to do."""
    try:
        yield
    except OSError as error:
        number = error.errno
        try:
            full = shutil.disk_usage(path.parent).free < FULL
        except OSError:
            full = False
        if number in NO_ROOM or (number is None and full):  # Pillow's errors have no number
            remedy = "the disk is full; make room and start the same command again: the masklets are kept"
            raise OSError(number or errno.ENOSPC, remedy, str(path)) from error
        if number in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise OSError(number, "cannot be written; choose another folder", str(path)) from error
        raise
