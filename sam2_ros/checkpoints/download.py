"""Downloads that are complete and verified by their checksum, or leave nothing."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPResponse
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO
from urllib.request import Request, urlopen

from sam2_ros.system import stopping

TIMEOUT = 15.0
"""Seconds without data, after which a download fails."""

CHUNK = 1 << 20
"""Bytes per read."""

MAX_PART_AGE = 86_400.0
"""Seconds after which a .part file is stale."""


class DamagedError(OSError):
    """The downloaded file does not have the expected checksum."""


def checksum(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with open(file, "rb") as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def download(url: str, to: Path, sha256: str) -> None:
    """Download a file, with a progress bar where tqdm is installed. The complete file replaces `to` atomically.

    Raises:
        DamagedError: the file has another checksum.
        OSError, http.client.HTTPException: it cannot be downloaded or written.
        Stopped: the process is ending.
    """
    for part in to.parent.glob(f"{to.name}.*.part"):  # left by processes that were killed
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > MAX_PART_AGE:
                part.unlink()
    digest = hashlib.sha256()
    stopping.check(f"fetching {url}")
    with (
        urlopen(Request(url, headers={"User-Agent": "sam2_ros"}), timeout=TIMEOUT) as source,
        _Part(to) as file,
        _progress(_length(source), to.name) as advance,
    ):
        while chunk := source.read1(CHUNK):
            stopping.check(f"fetching {url}")
            file.write(chunk)
            digest.update(chunk)
            advance(len(chunk))
        if digest.hexdigest() != sha256:
            raise DamagedError(f"its SHA-256 is {digest.hexdigest()} instead of {sha256}")


@contextmanager
def _progress(total: int | None, name: str) -> Iterator[Callable[[int], object]]:
    """A progress bar, as a function to call with the number of bytes of each chunk."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda _: None
        return
    with tqdm(total=total, unit="B", unit_scale=True, unit_divisor=1024, desc=name) as bar:
        yield bar.update


def _length(source: HTTPResponse) -> int | None:
    length = source.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


class _Part:
    """A partial file that replaces another one when it is complete, and is removed after an error."""

    def __init__(self, to: Path) -> None:
        self._to = to
        self._part = to.with_name(f"{to.name}.{token_hex(4)}.part")
        self._file = open(self._part, "xb")  # noqa: SIM115 - a tempfile would be readable by this user alone

    def __enter__(self) -> BinaryIO:
        return self._file

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            with self._file:
                if kind is None:
                    self._file.flush()
                    os.fsync(self._file.fileno())
            if kind is None:
                self._part.replace(self._to)
        finally:
            self._part.unlink(missing_ok=True)
