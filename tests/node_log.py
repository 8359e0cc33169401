"""What the nodes of this process have logged."""

from __future__ import annotations

import os


def written() -> str:
    """Everything since the test began or `capfd.readouterr` was called, which stays. For tests with `capfd`.

    `readouterr` empties the file after it has read it: what another thread writes in between is lost.
    """
    return os.pread(2, os.fstat(2).st_size, 0).decode(errors="replace")
