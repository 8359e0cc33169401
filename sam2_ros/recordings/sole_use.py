"""A folder that one process at a time writes to."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Keep other processes out that use this as well. A kill ends it; no file is left behind.

    Args:
        folder: exists.

    Raises:
        OSError: another process has it.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(errno.EBUSY, "another process is working on it", str(folder)) from error
        except OSError:  # a file system without locks, such as some over a network
            pass
        yield
    finally:
        os.close(handle)
