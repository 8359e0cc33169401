"""Prompts that wait, for their images or for the network."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.tracking.prompt import Prompt

PLACES = 64
"""Prompts of one source that may wait for images to come, and as many for the network."""


@dataclass(frozen=True)
class Proposal:
    """What becomes of a detection: it is dropped if its box overlaps a tracked object, or there is no room."""

    max_overlap: float
    """IoU up to which it is another object than those that are tracked."""
    forget_after: float = 0.0
    """s that the object may be away before it is removed; 0: for ever."""


@dataclass(frozen=True)
class Source:
    """Where prompts come from. Each has places of its own, so that nobody takes those of others."""

    name: str = "prompts"
    other_clock: bool = False
    """Their stamps may be of another clock than the images': if no image has one, the newest is meant."""
    places: int = PLACES


class Order:
    """The prompts of one message: they are answered in their order, which is all that tells their answers apart."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: Future[msg.PromptResult] | None = None
        self._to_say: deque[tuple[Future[msg.PromptResult] | None, Callable[[], object]]] = deque()
        self._speaks = False

    def asked(self, answer: Future[msg.PromptResult]) -> None:
        """The answer to one of them is still to come."""
        self._last = answer
        answer.add_done_callback(lambda _: self._say())

    def then(self, say: Callable[[], object]) -> None:
        """Calls this once all those have their answers: now, or in the thread that gives them."""
        with self._lock:
            self._to_say.append((self._last, say))
        self._say()

    def _say(self) -> None:
        while True:
            with self._lock:
                if self._speaks or not self._to_say:
                    return
                before, say = self._to_say[0]
                if before is not None and not before.done():
                    return
                self._to_say.popleft()
                self._speaks = True
            try:
                say()
            finally:
                self._speaks = False


@dataclass(eq=False)
class WaitingPrompt:
    """A prompt whose image may not have been processed yet."""

    header: Header
    prompt: Prompt
    stamp: int
    """ns, of the image it was made on; 0: the newest, and none has come that is not processed."""
    unstamped: bool
    """It was meant for the newest image that had come; where that was not processed, it is for the newest that was."""
    since: float  # s, of the monotonic clock
    deadline: float  # s of the monotonic clock
    source: Source
    proposal: Proposal | None
    answer: Future[msg.PromptResult] = field(default_factory=Future)

    def starts(self, object_ids: Collection[int]) -> bool:
        """Whether it starts an object, where these are known."""
        return self.prompt.object_id == 0 or self.prompt.object_id not in object_ids


class PromptQueue:
    """Bounded places, by source. Not thread-safe: whoever has it, locks it.

    Prompts for images that have not come have other places than those whose turn has come. When there are no more,
    those for the nearest images stay: whoever prompts far ahead keeps nobody waiting.
    """

    def __init__(self) -> None:
        self._waiting: list[WaitingPrompt] = []
        self._followed: list[WaitingPrompt] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[WaitingPrompt]:
        return iter(list(self._waiting))

    def put(self, new: WaitingPrompt, newest: int | None) -> WaitingPrompt | None:
        """Adds a prompt and returns the one for which there is no place any more, which may be itself.

        Args:
            newest: stamp of the newest image that has come, ns; None: none has.
        """

        def ahead(waiting: WaitingPrompt) -> bool:
            return newest is None or waiting.stamp > newest

        alike = [
            waiting
            for waiting in self._waiting
            if waiting.source.name == new.source.name and ahead(waiting) == ahead(new)
        ]
        loser = None
        if len(alike) >= new.source.places:
            farthest = max(alike, key=lambda waiting: waiting.stamp)
            loser = farthest if ahead(new) and new.stamp < farthest.stamp else new
        if loser is not new:
            self._waiting.append(new)
        if loser is not None and loser is not new:
            self._waiting.remove(loser)
        return loser

    def remove(self, gone: WaitingPrompt) -> None:
        self._waiting.remove(gone)

    def take(self, waiting: WaitingPrompt) -> bool:
        """Has a prompt followed until `done`. False: it does not wait any more."""
        if waiting not in self._waiting:
            return False
        self._waiting.remove(waiting)
        self._followed = [waiting]
        return True

    def done(self) -> None:
        """The prompt that was taken has its answer."""
        self._followed = []

    def clear(self) -> list[WaitingPrompt]:
        """Empties it and returns those that waited."""
        everybody, self._waiting = self._waiting, []
        return everybody

    def has_room(self, new: WaitingPrompt, newest: int, object_ids: Collection[int], limit: int) -> bool:
        """Whether there will be room for the object of one more prompt, after those whose images have come.

        Args:
            newest: stamp of the newest image that has come, ns.
            object_ids: of the objects that are tracked.
            limit: how many may be.
        """
        if not new.starts(object_ids):
            return True
        starting = [
            waiting.prompt.object_id
            for waiting in [*self._followed, *self._waiting]
            if waiting.proposal is None and waiting.stamp <= newest and waiting.starts(object_ids)
        ]
        if new.prompt.object_id and new.prompt.object_id in starting:
            return True
        return len(object_ids) + starting.count(0) + len(set(starting) - {0}) < limit
