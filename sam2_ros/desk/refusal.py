"""What a page is told when something cannot be done."""

from __future__ import annotations


class Refusal(Exception):
    """A request that cannot be followed; the message is shown to the person, beside where they pointed."""
