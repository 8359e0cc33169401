"""Where this machine keeps what can be fetched or made again."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
from pathlib import Path


def cache_folder() -> Path:
    """The package's own folder: of checkpoints, and of compiled code.

    Raises:
        FileNotFoundError: the user has no home, and XDG_CACHE_HOME isn't set.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():  # others are to be ignored, says XDG's specification
        return given / "sam2_ros"
    try:
        home = Path.home()
    except RuntimeError as error:
        raise FileNotFoundError(f"{error} Set XDG_CACHE_HOME to a folder that may be written.") from error
    if not home.is_absolute():
        raise FileNotFoundError(f"The home {str(home)!r} is no absolute path. Set HOME or XDG_CACHE_HOME to one.")
    return home / ".cache" / "sam2_ros"


def make_folder(folder: Path) -> None:
    """Makes it, and those that it is in, where they are missing; others may read, but never write. Raises OSError."""
    for missing in (*reversed(folder.parents), folder):
        if not missing.exists():
            missing.mkdir(mode=0o755, exist_ok=True)


def private_folder(name: str) -> Path:
    """A folder in the cache for code that will be run: nobody else can put anything into it, or another in its place.

    It is made where it is missing, and emptied where others may have written to it.

    Raises:
        OSError: it cannot be made; or it, or a folder that it is in, belongs to somebody else or may be written by
            others.
    """
    folder = cache_folder().resolve() / name
    for parent in reversed(folder.parents):
        make_folder(parent)
        check_protected(parent)
    if folder.exists() or folder.is_symlink():
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(f"{folder} is no folder of this user's")
        if _others_write(found):
            shutil.rmtree(folder)
    folder.mkdir(mode=0o700, exist_ok=True)
    if stat.S_IMODE(folder.lstat().st_mode) != 0o700:  # as an earlier version made it, or with another umask
        folder.chmod(0o700)
    return folder


def check_protected(folder: Path) -> None:
    """Raises PermissionError if somebody else than this user and root can replace what is in a folder.

    In one with the sticky bit, as /tmp has, others can't replace what is not theirs.
    """
    found = folder.stat()
    if found.st_uid not in (0, os.geteuid()):
        raise PermissionError(f"{folder} belongs to another user")
    if _others_write(found) and not found.st_mode & stat.S_ISVTX:
        raise PermissionError(f"others may write to {folder}")


def _others_write(found: os.stat_result) -> bool:
    return bool(
        found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and not _is_own_group(found.st_uid, found.st_gid))
    )


def _is_own_group(user: int, group: int) -> bool:
    """Whether a group is the one that some systems make for each user, who is alone in it."""
    try:
        owner, found = pwd.getpwuid(user), grp.getgrgid(group)
    except KeyError:
        return False
    return owner.pw_gid == group and found.gr_name == owner.pw_name and set(found.gr_mem) <= {owner.pw_name}
