"""A camera that is faster than the network, for seconds in place of ten minutes."""

from __future__ import annotations

import numpy as np
from overload import measure


def test_newest_image_wins_and_nothing_piles_up(ros_domain: int) -> None:
    parts = measure(seconds=8.0, rate=200.0, size=(120, 160), parameters=["threads:=1"])
    assert sum(part.sent for part in parts) > 2 * sum(len(part.ages) for part in parts) > 0, "it is overloaded"
    assert {part.objects for part in parts if part.ages} == {1}
    # While one image is processed, the next may be encoded, and only the newest waits: an image is older than the third
    # masklets before its own only by its way. If images piled up, the last ones would be seconds older, on any machine.
    ages, came = (np.concatenate([getattr(part, name) for part in parts]) for name in ("ages", "came"))
    late = ages[3:] - (came[3:] - came[:-3])
    assert np.median(late[len(late) // 2 :]) < 0.5
    assert max(part.waiting for part in parts) <= 2
    memory = [max(part.memory for part in half) for half in (parts[:5], parts[5:])]  # once a second
    assert memory[1] < memory[0] + 50
