"""The cache folder, for files that can be downloaded or built again."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
from pathlib import Path


def cache_folder() -> Path:
    """The package's cache folder, of checkpoints and compiled code.

    Raises:
        FileNotFoundError: the user has no home, and XDG_CACHE_HOME isn't set.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():  # the XDG specification ignores relative ones
        return given / "sam2_ros"
    try:
        home = Path.home()
    except RuntimeError as error:
        raise FileNotFoundError(f"{error} Set XDG_CACHE_HOME to a folder that may be written.") from error
    if not home.is_absolute():
        raise FileNotFoundError(f"The home {str(home)!r} is no absolute path. Set HOME or XDG_CACHE_HOME to one.")
    return home / ".cache" / "sam2_ros"


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, which others may read but not write. Raises OSError."""
    for missing in (*reversed(folder.parents), folder):
        if not missing.exists():
            missing.mkdir(mode=0o755, exist_ok=True)


def private_folder(name: str) -> Path:
    """A folder in the cache for code that will be run; no other user can write to it or replace it.

    It is made if it is missing, and emptied if others may have written to it.

    Raises:
        OSError: it cannot be made; or it, or one of its parents, belongs to another user or may be written by others.
    """
    folder = cache_folder().resolve() / name
    for parent in reversed(folder.parents):
        make_folder(parent)
        check_protected(parent)
    if folder.exists() or folder.is_symlink():
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise PermissionError(f"{folder} is no folder of this user's")
        if _others_write(status):
            shutil.rmtree(folder)
    folder.mkdir(mode=0o700, exist_ok=True)
    if stat.S_IMODE(folder.lstat().st_mode) != 0o700:  # made with another umask
        folder.chmod(0o700)
    return folder


def check_protected(folder: Path) -> None:
    """Raise PermissionError if anybody but this user and root can replace files in a folder.

    In a folder with the sticky bit, such as /tmp, others can't replace files that aren't theirs.
    """
    status = folder.stat()
    if status.st_uid not in (0, os.geteuid()):
        raise PermissionError(f"{folder} belongs to another user")
    if _others_write(status) and not status.st_mode & stat.S_ISVTX:
        raise PermissionError(f"others may write to {folder}")


def _others_write(status: os.stat_result) -> bool:
    by_group = status.st_mode & stat.S_IWGRP and not _is_private_group(status.st_uid, status.st_gid)
    return bool(status.st_mode & stat.S_IWOTH or by_group)


def _is_private_group(user: int, group: int) -> bool:
    """Whether a group is a user's private group, as some systems make one for each user."""
    try:
        owner, members = pwd.getpwuid(user), grp.getgrgid(group)
    except KeyError:
        return False
    return owner.pw_gid == group and members.gr_name == owner.pw_name and set(members.gr_mem) <= {owner.pw_name}
