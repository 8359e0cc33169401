"""A token that stays the same when the desk is started again."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path

TOKEN = re.compile(r"[A-Za-z0-9_-]{22,256}")
"""At least 128 bits, if it was drawn by chance."""


def read_or_make_token(path: str | Path) -> str:
    """The token in a file, which is made if it is not there, for its owner alone.

    Raises:
        ValueError: what is there is no token, or others may read it.
        OSError: it can be neither read nor made.
    """
    path = Path(path).expanduser()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    token = secrets.token_urlsafe(32)
    with open(descriptor, "w") as file:
        file.write(f"{token}\n")
    return token


def _read(path: Path) -> str:
    with open(path) as file:
        if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ValueError(f"{path} has the desk's token, and others may read it: chmod 600 {path}")
        text = file.read(1024).strip()
    if not TOKEN.fullmatch(text):
        raise ValueError(f"{path} has no token: it must be one line of at least 22 letters and digits; or remove it")
    return text
