"""What a command writes to a terminal, as progress and as lines."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections import deque

_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Colours, and movements of the cursor."""
_BAR = re.compile(r"^(?P<what>.*?)\s*[━╸╺]{5,}\s*(?P<rest>.*)$")
"""A progress bar of rich."""
_COUNT = re.compile(r"(?P<done>\d+)/(?P<total>\d+)")
_PERCENT = re.compile(r"(?P<done>\d+) ?%")
_LEFT = re.compile(r"(\d+:\d\d:\d\d)\s*$")

KEPT = 50
"""Lines, the newest of all that are no progress."""


class TerminalOutput:
    """Understands a command's output, as far as its progress bars go."""

    def __init__(self) -> None:
        self.done, self.total = 0, 0
        """Of the newest progress bar."""
        self.doing = ""
        """What that bar is about, and the time left."""
        self.lines: deque[str] = deque(maxlen=KEPT)
        """The newest other lines, without repetitions."""
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> None:
        """Take in what was written; the last line may go on in the next piece."""
        text = self._rest + self._decoder.decode(data)
        *whole, self._rest = re.split(r"[\r\n]+", text)
        for line in whole:
            self._take(line)

    def close(self) -> None:
        self._take(self._rest)
        self._rest = ""

    def _take(self, line: str) -> None:
        plain = _CONTROL.sub("", line).strip()
        bar = _BAR.match(plain)
        if bar is None:
            if plain and plain not in self.lines:  # bars are drawn again below each line that is printed
                self.lines.append(plain)
            return
        rest = bar["rest"]
        if counted := _COUNT.search(rest) or _PERCENT.search(rest):
            groups = counted.groupdict()
            self.done, self.total = int(groups["done"]), int(groups.get("total") or 100)
        left = _LEFT.search(rest)
        self.doing = f"{bar['what']}, {left[1]} left" if left else bar["what"]
