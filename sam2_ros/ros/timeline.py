"""The timeline of a stream of images: decides from stamps which images are processed, and when time has jumped."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, TypeVar

SECOND = 1_000_000_000  # ns

MAX_LATENESS = SECOND // 5
"""ns; an image older than the newest by at most this was overtaken in transit."""

MIN_RUN = 3
"""Number of consecutive images with odd stamps, but regular like a camera's, that make a jump of time."""

MAX_STRAYS = 10
"""Maximum number of odd stamps in a row; one more makes a jump of time, even if they are irregular."""

PERIOD_RANGE = (SECOND // 1000, 10 * SECOND)
"""Shortest and longest period of a camera, ns."""

MIN_LEAP = SECOND
"""ns; a longer step ahead, if unusually long for the stream, may be due to a wrong stamp."""

MAX_REJOIN_GAP = 10 * SECOND
"""Maximum gap of stamps, ns, after which a previous line of stamps is continued."""

MAX_LINE_AGE = 300
"""Number of images for which a previous line of stamps is remembered."""

MAX_CLOCK_STEP = 2 * SECOND
"""ns; a clock that goes back by at most this was corrected, unless the first stamps recur."""

START_STAMPS = 8
"""Number of first stamps that are kept, to recognise a restarted recording."""

MAX_LEAPS = 4
"""Maximum number of remembered leaps."""

T = TypeVar("T")


@dataclass
class Leap:
    """A step ahead that is unusually long, or the very first stamp."""

    origin: int | None
    """The stamp before the leap, ns; None: there was no image."""
    period: int
    """Time between the two images before the leap, ns."""
    images: int = 1
    """Number of images since, including the one that leapt."""

    def is_followed_by(self, stamp: int) -> bool:
        """Whether a stamp continues those before the leap."""
        if self.origin is None:  # the very first stamp may be the wrong one
            return self.images == 1
        return 0 < stamp - self.origin <= MAX_REJOIN_GAP


class Fit(Enum):
    """How an image's stamp fits those before it."""

    NEXT = "next"
    """It is the next image, perhaps after a jump of time."""
    REPEATED = "repeated"
    """It has the stamp of the image before it. Skipped."""
    LATE = "late"
    """It was overtaken by a newer image. Skipped."""
    STRAY = "stray"
    """Its stamp is far off. Held back until later images show whether time has jumped."""


@dataclass(frozen=True)
class Jump:
    """A jump of time, and how the images after it continue those before it."""

    back: int
    """ns from the first stamp after the jump to the newest before it; negative if time has jumped ahead."""
    forget: bool = False
    """Whether a recording or simulation has restarted, so that the tracked objects are forgotten."""
    origin: int | None = None
    """The last right stamp, ns, if later ones were wrong; the images after the jump continue it."""
    corrects: bool = False
    """Whether the stamps between `origin` and the jump were wrong."""


@dataclass(frozen=True)
class Admitted(Generic[T]):
    """The decision on an image, and on images that were held back."""

    fit: Fit
    images: tuple[tuple[int, T], ...] = ()
    """Stamps and images to process now, in order."""
    given_up: int = 0
    """Number of held-back images that will not be processed."""
    jump: Jump | None = None
    """The jump of time before `images`, if any."""


class Timeline(Generic[T]):
    """Decides from the stamps alone, so that a recording always has the same result.

    A single image whose stamp does not fit is skipped. Time has jumped if several consecutive images agree; they are
    held back until then, and none of them is lost.

    Args:
        keep: never forget; otherwise a jump back forgets, unless it is a small correction of the clock, or the end of
            stamps from the future.
    """

    def __init__(self, keep: bool = False) -> None:
        self._keep = keep
        self._run: list[tuple[int, T]] = []  # held back; consecutive images of one camera
        self._begin()

    def _begin(self) -> None:
        self.newest: int | None = None
        """Stamp of the newest admitted image, ns."""
        self._start: list[int] = []  # the first stamps
        self._period = 0  # ns, between the last two admitted images
        self._leaps: deque[Leap] = deque(maxlen=MAX_LEAPS)
        self._previous_line: int | None = None  # newest stamp of the previous line of stamps
        self._since_previous_line = 0  # images
        self._strays = 0  # consecutive images that didn't fit

    def reset(self) -> tuple[tuple[int, T], ...]:
        """Accept any stamp next. Returns the images that were held back, which are processed first."""
        held, self._run = tuple(self._run), []
        self._begin()
        for stamp, _ in held:
            self._follow(stamp)
        return held

    @property
    def held(self) -> tuple[int, ...]:
        """Stamps of the held-back images, ascending, ns."""
        return tuple(stamp for stamp, _ in self._run)

    def add(self, stamp: int, image: T, in_a_row: bool = True) -> Admitted[T]:
        """Decide on the next image.

        Args:
            stamp: ns.
            in_a_row: false: an image with a fitting stamp arrived between the last one and this, and was dropped.
        """
        if self.newest is None:
            return self._admit(stamp, image)
        ahead = stamp - self.newest
        if ahead > 0 and not self._continues_previous_line(stamp, ahead):
            return self._admit(stamp, image)
        if not in_a_row:
            self._strays = 0
        continues_run = in_a_row and self._continues_run(stamp)
        if ahead == 0 and not continues_run:
            return Admitted(Fit.REPEATED)
        if ahead < 0 and self._only_newest_was_wrong(stamp):
            return self._correct_newest(stamp, image)
        self._strays += 1
        if -MAX_LATENESS <= ahead < 0 and not continues_run and self._strays <= MAX_STRAYS:
            return Admitted(Fit.LATE)
        return self._hold_back(stamp, image, continues_run)

    def fits(self, stamp: int) -> bool:
        """Whether an image with this stamp would continue the newest one, regardless of others."""
        return self.newest is not None and 0 < stamp - self.newest <= MAX_REJOIN_GAP

    def _admit(self, stamp: int, image: T) -> Admitted[T]:
        given_up, self._run = len(self._run), []
        self._strays = 0
        self._follow(stamp)
        return Admitted(Fit.NEXT, ((stamp, image),), given_up)

    def _only_newest_was_wrong(self, stamp: int) -> bool:
        """Whether this stamp continues those before the newest image, which leapt ahead."""
        if not self._leaps or self._leaps[-1].images > 1 or (origin := self._leaps[-1].origin) is None:
            return False
        return 0 < stamp - origin <= max(MIN_LEAP, 5 * self._leaps[-1].period)

    def _correct_newest(self, stamp: int, image: T) -> Admitted[T]:
        wrong, leap = self.newest, self._leaps.pop()
        assert wrong is not None
        self.newest, self._period = leap.origin, leap.period
        self._start = [first for first in self._start if first != wrong]
        self._previous_line, self._since_previous_line = wrong, 0
        jump = Jump(wrong - stamp, origin=leap.origin, corrects=True)
        return replace(self._admit(stamp, image), jump=jump)

    def _hold_back(self, stamp: int, image: T, continues_run: bool) -> Admitted[T]:
        given_up = 0
        if not continues_run:
            given_up, self._run = len(self._run), []
        self._run.append((stamp, image))
        if self._previous_line is not None and 0 < stamp - self._previous_line <= MAX_REJOIN_GAP:
            self._previous_line, self._since_previous_line = stamp, 0
        if len(self._run) < MIN_RUN and self._strays <= MAX_STRAYS:
            return Admitted(Fit.STRAY, given_up=given_up)
        return self._jump(given_up)

    def _jump(self, given_up: int) -> Admitted[T]:
        assert self.newest is not None
        run, self._run = tuple(self._run), []
        newest, first, start = self.newest, run[0][0], self._start
        back = newest - first
        restarts = any(stamp in start for stamp, _ in run)
        leap = next((leap for leap in reversed(self._leaps) if leap.is_followed_by(first)), None)
        corrects = back > 0 and leap is not None and not restarts
        forget = back > 0 and not corrects and not self._keep and (restarts or back > MAX_CLOCK_STEP)
        origin = leap.origin if leap is not None and corrects else None
        self._begin()
        if back < 0:
            self._start = start
        for stamp, _ in run:
            self._follow(stamp)
        self._leaps.clear()
        self._previous_line, self._since_previous_line = newest, 0
        return Admitted(Fit.NEXT, run, given_up, Jump(back, forget, origin, corrects))

    def _follow(self, stamp: int) -> None:
        """Accept a stamp as the newest."""
        for leap in self._leaps:
            leap.images += 1
        step = 0 if self.newest is None else stamp - self.newest
        if self.newest is None or step > max(MIN_LEAP, 5 * self._period):
            self._leaps.append(Leap(self.newest, self._period))
        while self._leaps and self._leaps[0].images > MAX_LINE_AGE:
            self._leaps.popleft()
        self._since_previous_line += 1
        if self._since_previous_line > MAX_LINE_AGE:
            self._previous_line = None
        if len(self._start) < START_STAMPS:
            self._start.append(stamp)
        self._period, self.newest = step, stamp

    def _continues_run(self, stamp: int) -> bool:
        return bool(self._run) and PERIOD_RANGE[0] <= stamp - self._run[-1][0] <= PERIOD_RANGE[1]

    def _continues_previous_line(self, stamp: int, ahead: int) -> bool:
        """Whether a stamp continues the previous line: there are two cameras on the topic, or two clocks in one."""
        return (
            self._previous_line is not None and ahead > MIN_LEAP and 0 < stamp - self._previous_line <= MAX_REJOIN_GAP
        )


def restamped(stamps: Sequence[int], first: int, jump: Jump) -> tuple[int, ...]:
    """New stamps for the last frames of a history, so that an image with the stamp `first` can follow them.

    Frames with wrong stamps are put right before it. If a clock was set back, all frames go back with it.

    Args:
        stamps: stamps of the history, ascending, ns.
        first: stamp of the next image, ns.
    """
    if jump.corrects:
        moved = [stamp for stamp in stamps if jump.origin is None or stamp > jump.origin]
        return tuple(first - len(moved) + number for number in range(len(moved)))
    period = stamps[-1] - stamps[-2] if len(stamps) > 1 else 1
    return tuple(stamp - stamps[-1] + first - period for stamp in stamps)
