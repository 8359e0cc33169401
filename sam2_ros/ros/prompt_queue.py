"""The prompts that wait, and which of them give way where there are too many."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sam2_ros.ros.waiting_prompt import WaitingPrompt


class PromptQueue:
    """Prompts that wait, bounded by source. Not thread-safe: its owner locks it.

    Prompts for images that have not come are counted apart from those whose images have. When there are too many, those
    for the nearest images stay: whoever prompts far ahead takes nobody's place.
    """

    def __init__(self) -> None:
        self._waiting: list[WaitingPrompt] = []
        self._applying: list[WaitingPrompt] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[WaitingPrompt]:
        return iter(list(self._waiting))

    def put(self, new: WaitingPrompt, newest: int | None) -> WaitingPrompt | None:
        """Add a prompt and return the one that gives way to it, which may be itself; None: there is room.

        Args:
            newest: stamp of the newest image that has come, ns; None: none has.
        """

        def is_ahead(waiting: WaitingPrompt) -> bool:
            return newest is None or waiting.stamp > newest

        rivals = [
            waiting
            for waiting in self._waiting
            if waiting.source.name == new.source.name and is_ahead(waiting) == is_ahead(new)
        ]
        loser = None
        if len(rivals) >= new.source.max_waiting:
            farthest = max(rivals, key=lambda waiting: waiting.stamp)
            loser = farthest if is_ahead(new) and new.stamp < farthest.stamp else new
        if loser is not new:
            self._waiting.append(new)
        if loser is not None and loser is not new:
            self._waiting.remove(loser)
        return loser

    def remove(self, waiting: WaitingPrompt) -> None:
        """Remove a prompt that waits."""
        self._waiting.remove(waiting)

    def take(self, waiting: WaitingPrompt) -> bool:
        """Take a prompt that is applied until `done`. False: it does not wait any more."""
        if waiting not in self._waiting:
            return False
        self._waiting.remove(waiting)
        self._applying = [waiting]
        return True

    def done(self) -> None:
        """The prompt that was taken has its answer."""
        self._applying = []

    def clear(self) -> list[WaitingPrompt]:
        """Empty the queue and return the prompts that waited."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def shift(self, after: int, nanoseconds: int) -> None:
        """Move the stamps that are later than `after`, ns, as the clock of the images was."""
        for waiting in self._waiting:
            if waiting.stamp > after:
                waiting.stamp += nanoseconds

    def has_room(self, new: WaitingPrompt, newest: int, object_ids: Collection[int], max_objects: int) -> bool:
        """Whether there will be room for the object of one more prompt, after those whose images have come.

        Args:
            newest: stamp of the newest image that has come, ns.
            object_ids: of the objects that are tracked.
        """
        if not new.starts(object_ids):
            return True
        starting = [
            waiting.prompt.object_id
            for waiting in [*self._applying, *self._waiting]
            if waiting.proposal is None and waiting.stamp <= newest and waiting.starts(object_ids)
        ]
        if new.prompt.object_id and new.prompt.object_id in starting:
            return True
        return len(object_ids) + starting.count(0) + len(set(starting) - {0}) < max_objects
