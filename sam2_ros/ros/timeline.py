"""The stamps of a stream of images: which image is next, which is a stray, and when time has jumped."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, TypeVar

SECOND = 1_000_000_000  # ns

LATE = SECOND // 5
"""ns; an image that is older than the newest by no more than this was overtaken on its way."""

IN_A_ROW = 3
"""Images with odd stamps that follow each other like a camera's: with the last of them, time has jumped."""

MAX_STRAYS = 10
"""Images with odd stamps in a row; with one more time has jumped, even if they don't follow each other."""

PERIODS = (SECOND // 1000, 10 * SECOND)
"""ns; between two images of one camera."""

LEAP = SECOND
"""ns; a step ahead that is longer, and unusually long for the stream, may be due to a wrong stamp."""

REJOIN = 10 * SECOND
"""ns; how long after it was left a line of stamps is taken up again."""

MAX_AWAY = 300
"""Images for which a line of stamps that was left is remembered."""

MAX_CLOCK_STEP = 2 * SECOND
"""ns; a clock that goes back by no more than this was corrected, unless the stamps of the start come again."""

START_STAMPS = 8
"""Stamps of the start that are kept, to recognise a recording that begins again."""

MAX_LEAPS = 4
"""Steps ahead that are remembered at the same time."""

T = TypeVar("T")


@dataclass
class Leap:
    """A step ahead that is unusually long, or the very first stamp."""

    origin: int | None
    """The stamp before it, ns."""
    period: int
    """ns, between the two images before it."""
    images: int = 1
    """Images since, with the one that leapt."""

    def is_followed_by(self, stamp: int) -> bool:
        """Whether a stamp continues those before the leap."""
        if self.origin is None:  # the very first stamp may be the wrong one
            return self.images == 1
        return 0 < stamp - self.origin <= REJOIN


class Fit(Enum):
    """How an image's stamp fits those before it."""

    NEXT = "next"
    """It is the next image, perhaps of a time that has jumped."""
    REPEATED = "repeated"
    """It has the stamp of the image before it. Skipped."""
    LATE = "late"
    """It was overtaken by a newer one. Skipped."""
    STRAY = "stray"
    """Its stamp is far off. Held back, until the images behind it show whether time has jumped."""


@dataclass(frozen=True)
class Jump:
    """A jump of time: how the images behind it are joined to those before it."""

    back: int
    """ns from the newest stamp before the jump to the first behind it; negative where time has jumped ahead."""
    forget: bool = False
    """A recording or a simulation begins again: the tracked objects are gone."""
    origin: int | None = None
    """The last right stamp, where those after it were wrong and the images behind the jump follow this one."""
    corrects: bool = False
    """The stamps before the jump, from `origin` on, were wrong."""


@dataclass(frozen=True)
class Admitted(Generic[T]):
    """The decision on an image and on those that were held back."""

    fit: Fit
    images: tuple[tuple[int, T], ...] = ()
    """Stamps and images that are to be processed now, in order."""
    given_up: int = 0
    """Images that were held back and will not be processed."""
    jump: Jump | None = None
    """Before `images` time has jumped."""


class Timeline(Generic[T]):
    """Decides by the stamps alone, so that the same recording always has the same result.

    One image whose stamp does not fit is skipped, whatever it is: nothing that is tracked depends on it. Time has
    jumped when several in a row say so. They are held back until then, and none of them is lost.

    Args:
        keep: never forget; else a jump back forgets, unless it is a small correction of the clock, or ends an excursion
            of the stamps into the future.
    """

    def __init__(self, keep: bool = False) -> None:
        self._keep = keep
        self._run: list[tuple[int, T]] = []  # held back; they follow each other
        self._begin()

    def _begin(self) -> None:
        self.newest: int | None = None
        """Stamp of the newest image that fitted, ns."""
        self._start: list[int] = []  # the first stamps
        self._period = 0  # ns, between the last two that fitted
        self._leaps: deque[Leap] = deque(maxlen=MAX_LEAPS)
        self._left: int | None = None  # newest stamp of a line of stamps that was left
        self._since_left = 0  # images
        self._strays = 0  # images in a row that didn't fit

    def reset(self) -> tuple[tuple[int, T], ...]:
        """The next image may have any stamp. Returns those that were held back, which now come first."""
        held, self._run = tuple(self._run), []
        self._begin()
        for stamp, _ in held:
            self._follow(stamp)
        return held

    @property
    def held(self) -> tuple[int, ...]:
        """Stamps of the images that are held back, ascending."""
        return tuple(stamp for stamp, _ in self._run)

    def add(self, stamp: int, image: T, in_a_row: bool = True) -> Admitted[T]:
        """The next image.

        Args:
            stamp: ns.
            in_a_row: false: between the image before it and this one another came, which was not looked at but fits.
        """
        if self.newest is None:
            return self._fits(stamp, image)
        ahead = stamp - self.newest
        if ahead > 0 and not self._is_of_the_line_left(stamp, ahead):
            return self._fits(stamp, image)
        if not in_a_row:
            self._strays = 0
        of_the_run = in_a_row and self._continues_run(stamp)
        if ahead == 0 and not of_the_run:
            return Admitted(Fit.REPEATED)
        if ahead < 0 and self._only_the_newest_was_wrong(stamp):
            return self._corrected(stamp, image)
        self._strays += 1
        if -LATE <= ahead < 0 and not of_the_run and self._strays <= MAX_STRAYS:
            return Admitted(Fit.LATE)
        return self._stray(stamp, image, of_the_run)

    def fits(self, stamp: int) -> bool:
        """Whether an image with this stamp would be the next one, as far as can be said without the others."""
        return self.newest is not None and 0 < stamp - self.newest <= REJOIN

    def _fits(self, stamp: int, image: T) -> Admitted[T]:
        given_up, self._run = len(self._run), []
        self._strays = 0
        self._follow(stamp)
        return Admitted(Fit.NEXT, ((stamp, image),), given_up)

    def _only_the_newest_was_wrong(self, stamp: int) -> bool:
        """Whether but for the newest image, which leapt ahead, this one follows in time."""
        if not self._leaps or self._leaps[-1].images > 1 or (origin := self._leaps[-1].origin) is None:
            return False
        return 0 < stamp - origin <= max(LEAP, 5 * self._leaps[-1].period)

    def _corrected(self, stamp: int, image: T) -> Admitted[T]:
        wrong, leap = self.newest, self._leaps.pop()
        assert wrong is not None
        self.newest, self._period = leap.origin, leap.period
        self._start = [first for first in self._start if first != wrong]
        self._left, self._since_left = wrong, 0
        jump = Jump(wrong - stamp, origin=leap.origin, corrects=True)
        return replace(self._fits(stamp, image), jump=jump)

    def _stray(self, stamp: int, image: T, of_the_run: bool) -> Admitted[T]:
        given_up = 0
        if not of_the_run:
            given_up, self._run = len(self._run), []
        self._run.append((stamp, image))
        if self._left is not None and 0 < stamp - self._left <= REJOIN:
            self._left, self._since_left = stamp, 0
        if len(self._run) < IN_A_ROW and self._strays <= MAX_STRAYS:
            return Admitted(Fit.STRAY, given_up=given_up)
        return self._jumped(given_up)

    def _jumped(self, given_up: int) -> Admitted[T]:
        assert self.newest is not None
        run, self._run = tuple(self._run), []
        left, first, start = self.newest, run[0][0], self._start
        back = left - first
        again = any(stamp in start for stamp, _ in run)
        leap = next((leap for leap in reversed(self._leaps) if leap.is_followed_by(first)), None)
        corrects = back > 0 and leap is not None and not again
        forget = back > 0 and not corrects and not self._keep and (again or back > MAX_CLOCK_STEP)
        origin = leap.origin if leap is not None and corrects else None
        self._begin()
        if back < 0:
            self._start = start
        for stamp, _ in run:
            self._follow(stamp)
        self._leaps.clear()
        self._left, self._since_left = left, 0
        return Admitted(Fit.NEXT, run, given_up, Jump(back, forget, origin, corrects))

    def _follow(self, stamp: int) -> None:
        """Take a stamp as the next one."""
        for leap in self._leaps:
            leap.images += 1
        step = 0 if self.newest is None else stamp - self.newest
        if self.newest is None or step > max(LEAP, 5 * self._period):
            self._leaps.append(Leap(self.newest, self._period))
        while self._leaps and self._leaps[0].images > MAX_AWAY:
            self._leaps.popleft()
        self._since_left += 1
        if self._since_left > MAX_AWAY:
            self._left = None
        if len(self._start) < START_STAMPS:
            self._start.append(stamp)
        self._period, self.newest = step, stamp

    def _continues_run(self, stamp: int) -> bool:
        return bool(self._run) and PERIODS[0] <= stamp - self._run[-1][0] <= PERIODS[1]

    def _is_of_the_line_left(self, stamp: int, ahead: int) -> bool:
        """Whether it continues stamps that were left: there are two cameras on the topic, or two clocks in one."""
        return self._left is not None and ahead > LEAP and 0 < stamp - self._left <= REJOIN


def joined(stamps: Sequence[int], first: int, jump: Jump) -> tuple[int, ...]:
    """New stamps for the last frames of a history, so that an image with the stamp `first` can follow them.

    Frames whose stamps were wrong come right before it. Where a clock was put back, all frames go back with it.

    Args:
        stamps: of the history, ascending.
    """
    if jump.corrects:
        moved = [stamp for stamp in stamps if jump.origin is None or stamp > jump.origin]
        return tuple(first - len(moved) + number for number in range(len(moved)))
    period = stamps[-1] - stamps[-2] if len(stamps) > 1 else 1
    return tuple(stamp - stamps[-1] + first - period for stamp in stamps)
