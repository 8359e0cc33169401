"""Where this machine keeps what can be fetched or made again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The package's own folder: of checkpoints, and of compiled code.

    Raises:
        FileNotFoundError: the user has no home, and XDG_CACHE_HOME isn't set.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sam2_ros"
    except RuntimeError as error:
        raise FileNotFoundError(f"{error} Set XDG_CACHE_HOME to a folder that may be written.") from error
