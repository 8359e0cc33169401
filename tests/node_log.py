"""What the nodes of this process have logged."""

from __future__ import annotations

import os


def written() -> str:
    """Everything since the test began, which stays. For tests with `capfd`.

    `capfd.readouterr` goes to the file's beginning, reads and empties it: what another thread writes meanwhile
    overwrites the beginning, or is lost.
    """
    return os.pread(2, os.fstat(2).st_size, 0).decode(errors="replace")
