"""Numbers of things in messages for people."""

from __future__ import annotations


def quantity(number: int, noun: str) -> str:
    """A number and its regular noun, such as "1 object" and "3 objects"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
