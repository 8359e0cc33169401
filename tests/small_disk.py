"""A small file system, for tests of full and read-only disks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own, for the time of a test."""
    folder.mkdir()
    if os.system(f"mount -t tmpfs -o {options} tmpfs {folder} 2> /dev/null"):
        pytest.skip("mounting takes root")
    try:
        yield folder
    finally:
        os.system(f"umount -l {folder}")
