"""Warnings about uncorrected predictions among masklets."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

MAX_NAMED = 3
"""Maximum number of bags that a warning names."""


def warn_of_uncorrected(data: Sequence[Path] | None, validation: Sequence[Path] | None = None) -> None:
    """Warn of uncorrected predictions among training or validation data.

    Args:
        data, validation: folders, files and bags.
    """
    if bags := _uncorrected(data):
        warnings.warn(
            f"the masklets of {bags} were made by a network and never corrected. A network trained on its own"
            " predictions becomes more certain of its mistakes, and worse. Replay the bags, correct wrong masks with"
            " clicks, and record that (docs/training.md)",
            stacklevel=2,
        )
    if bags := _uncorrected(validation):
        warnings.warn(
            f"the masklets of {bags}, which validation takes for the truth, were made by a network and never"
            " corrected: scores measure agreement with the network, right or wrong",
            stacklevel=2,
        )


def _uncorrected(paths: Sequence[Path] | None) -> str:
    """The names of uncorrected bags as part of a sentence; empty if there are none."""
    if not paths or find_spec("rosbags") is None:  # without it no bag could have been opened
        return ""
    from sam2_ros.data.bag_corrections import uncorrected

    bags = [str(bag) for path in paths for bag in uncorrected(path)]
    return ", ".join(bags[:MAX_NAMED]) + (f" and {len(bags) - MAX_NAMED} more" if len(bags) > MAX_NAMED else "")
