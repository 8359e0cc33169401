"""A warning to those who have a network learn from what a network said."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

NAMED = 3
"""Bags that the warning names."""


def remark_on_own_answers(data: Sequence[Path] | None, validation: Sequence[Path] | None = None) -> None:
    """Warns where masklets that nobody has corrected are to be learnt from, or to be judged by.

    Args:
        data, validation: folders, files and bags.
    """
    if found := _uncorrected(data):
        warnings.warn(
            f"the masklets of {found} were made by a network, and nobody has corrected them. A network that learns from"
            " such answers becomes surer of its mistakes, and worse. Play the bags again, correct with clicks where"
            " masks are wrong, and record that (docs/training.md)",
            stacklevel=2,
        )
    if found := _uncorrected(validation):
        warnings.warn(
            f"the masklets of {found}, which validation takes for the truth, were made by a network, and nobody has"
            " corrected them: scores will rise the more the answers are alike, right or wrong",
            stacklevel=2,
        )


def _uncorrected(paths: Sequence[Path] | None) -> str:
    """The bags that are meant, in words; empty: there are none."""
    if not paths or find_spec("rosbags") is None:  # without it no bag could have been opened
        return ""
    from sam2_ros.data.bag_corrections import uncorrected

    found = [str(bag) for path in paths for bag in uncorrected(path)]
    return ", ".join(found[:NAMED]) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")
