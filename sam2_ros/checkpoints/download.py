"""A file from the network: whole and as it was released, or not at all."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from http.client import HTTPResponse
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO
from urllib.request import Request, urlopen

from tqdm import tqdm

from sam2_ros.system import stopping

PATIENCE = 15.0
"""s that a server may be silent."""

BLOCK = 1 << 20
"""Bytes that are read at once."""

ABANDONED = 86_400.0
"""s after which nobody is working on a part of a file any more."""


class DamagedError(OSError):
    """What arrived is not what was asked for."""


def checksum(file: Path) -> str:
    """SHA-256, in hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with open(file, "rb") as opened:
        while block := opened.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def download(url: str, to: Path, sha256: str) -> None:
    """Fetches a file with a progress bar. It appears at once and whole, and replaces the one that is there.

    Raises:
        DamagedError: it has another checksum.
        OSError, http.client.HTTPException: it cannot be fetched, or not written.
        Stopped: the process is ending.
    """
    for part in to.parent.glob(f"{to.name}.*.part"):  # of processes that were killed
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()
    digest = hashlib.sha256()
    stopping.check(f"fetching {url}")
    with (
        urlopen(Request(url, headers={"User-Agent": "sam2_ros"}), timeout=PATIENCE) as source,
        _Part(to) as file,
        tqdm(total=_length(source), unit="B", unit_scale=True, unit_divisor=1024, desc=to.name) as progress,
    ):
        while block := source.read1(BLOCK):
            stopping.check(f"fetching {url}")
            file.write(block)
            digest.update(block)
            progress.update(len(block))
        if digest.hexdigest() != sha256:
            raise DamagedError(f"its SHA-256 is {digest.hexdigest()} instead of {sha256}")


def _length(source: HTTPResponse) -> int | None:
    given = source.headers.get("Content-Length", "")
    return int(given) if given.isdecimal() else None


class _Part:
    """A file that replaces another one when it is complete, and is removed if something goes wrong before."""

    def __init__(self, to: Path) -> None:
        self._to = to
        self._part = to.with_name(f"{to.name}.{token_hex(4)}.part")
        self._file = open(self._part, "xb")  # noqa: SIM115 - and not a temporary file, which nobody else may read

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
