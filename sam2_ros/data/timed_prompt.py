"""Prompts for a recording that has not been read yet: what is prompted, and when in the recording."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sam2_ros.tracking.prompt import Prompt

_MOMENT = re.compile(r"\d{1,18}|(?:\d{1,18}(?:\.\d*)?|\.\d+)s")


@dataclass(frozen=True)
class Moment:
    """A place in a recording: number of an image, from 0; seconds from the first image; or a stamp, ns."""

    value: float
    unit: Literal["frame", "s", "ns"] = "frame"

    @classmethod
    def parse(cls, text: str) -> Moment:
        """`120` is a frame, `4.5s` are seconds from the start. Raises ValueError."""
        if not _MOMENT.fullmatch(text):
            raise ValueError(f"{text!r} is neither the number of an image (120) nor seconds from the start (4.5s)")
        return cls(float(text[:-1]), "s") if text.endswith("s") else cls(int(text))

    def __str__(self) -> str:
        return {"frame": f"frame {self.value}", "s": f"{self.value:g} s", "ns": f"stamp {self.value} ns"}[self.unit]

    def index(self, stamps: Sequence[int]) -> int:
        """The number of the image: of seconds and stamps the nearest one, of two as near the earlier.

        Args:
            stamps: those of all images, ascending, ns.

        Raises:
            ValueError: it lies outside the recording; the message says how long that is.
        """
        first, last = stamps[0], stamps[-1]
        if self.unit == "frame":
            if not 0 <= self.value < len(stamps):
                raise ValueError(f"the recording has {len(stamps)} images, 0 to {len(stamps) - 1}")
            return int(self.value)
        if self.unit == "s":
            length = (last - first) / 1e9 * (len(stamps) / max(1, len(stamps) - 1))  # the last image lasts, too
            if not 0 <= self.value <= length:  # not a number, either
                raise ValueError(f"the recording is {length:.1f} s long")
            stamp = min(first + round(self.value * 1e9), last)
        else:
            stamp = int(self.value)
            if not first <= stamp <= last:
                apart, where = (
                    (first - stamp, "before its first") if stamp < first else (stamp - last, "after its last")
                )
                seconds = f"{apart // 10**9}.{apart // 10**6 % 1000:03d}"  # a file may hold any whole number
                raise ValueError(f"it lies outside the recording, {seconds} s {where} image")
        after = bisect_left(stamps, stamp)
        if after and stamp - stamps[after - 1] <= stamps[after] - stamp:
            return after - 1
        return after


@dataclass(frozen=True, eq=False)
class TimedPrompt:
    """A prompt and when in the recording it is for."""

    prompt: Prompt
    """With object ID 0 for a new object."""
    moment: Moment | None = None
    """None: the first image."""
    name: str = ""
    """What messages call it: as it was typed, or where it stands in a file."""
