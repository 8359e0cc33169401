"""What every kind of hostile message or call has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from builtin_interfaces.msg import Time

from fuzz.rig import Rig


class Attack(ABC):
    """One kind of hostile message or call. A new topic or service is one more class in `fuzz.kinds.KINDS`.

    Nothing that it sends may touch the good objects (`fuzz.scene.GOOD_IDS`) unless it is invalid: the twin, which does
    not get it, is compared with the victim.
    """

    name: ClassVar[str]
    """As in the table of results."""
    share: ClassVar[float] = 1.0
    """How often it is chosen, relative to the others."""
    while_inactive: ClassVar[bool] = False
    """Whether it reaches a node that is not active, too."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    @property
    def is_possible(self) -> bool:
        """Whether it can be sent now."""
        return True

    @abstractmethod
    def send(self, random: np.random.Generator) -> str:
        """Sends one. Returns what it was, for the report of a failure."""


def text(random: np.random.Generator) -> str:
    """A text that nobody would write."""
    words = ["", " ", "\n\r\t", "☃" * 100, "\u202ex", "%s%n{}{0}", "../../etc/passwd"]
    words += ["x" * 1000, "y" * 200_000, "\x1b[2J\x1b[31m", "'; --", "nan", "-0", "\ufffe\uffff", "camera\\optical"]
    return words[random.integers(len(words))]


def number(random: np.random.Generator) -> float:
    """A number that is no pixel."""
    numbers = [np.nan, np.inf, -np.inf, -1.0, -1e-30, 1e308, -1e308, 3.4e38, 1e9, 2.0**31, -(2.0**63)]
    return float(numbers[random.integers(len(numbers))])


def odd_time(random: np.random.Generator) -> Time:
    """A stamp that no image has."""
    seconds = [-(2**31), 2**31 - 1, -1, 1, 1_000_000_000, 2**31 - 1]
    nanoseconds = [0, 1, 999_999_999, 1_000_000_000, 2**32 - 1]
    return Time(sec=seconds[random.integers(len(seconds))], nanosec=nanoseconds[random.integers(len(nanoseconds))])
