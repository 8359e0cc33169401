"""One-to-one association."""

from __future__ import annotations

import numpy as np


def assign(gain: np.ndarray, least: float) -> list[tuple[int, int]]:
    """The one-to-one pairs of rows and columns with the largest total gain, by the Hungarian method.

    Args:
        gain: of each pair, finite [N, M].
        least: pairs with a smaller gain stay apart.
    """
    from scipy.optimize import linear_sum_assignment  # imported here: it takes a while, and only detectors need it

    useful = np.where(gain >= least, gain, 0.0)
    pairs = zip(*linear_sum_assignment(useful, maximize=True), strict=True)
    return [(int(row), int(column)) for row, column in pairs if gain[row, column] >= least]
