"""The bounded queue of waiting prompts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from sam2_ros.ros.waiting_prompt import WaitingPrompt


class PromptQueue:
    """Waiting prompts, bounded per source. Not thread-safe: its owner locks it.

    Prompts for images that have not arrived yet are counted separately. If there are too many of them, those for the
    earliest images stay, so that prompts for far later images do not block others.
    """

    def __init__(self) -> None:
        self._waiting: list[WaitingPrompt] = []
        self._applying: list[WaitingPrompt] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[WaitingPrompt]:
        return iter(list(self._waiting))

    def put(self, new: WaitingPrompt, newest: int | None) -> WaitingPrompt | None:
        """Add a prompt. Returns the evicted prompt, which may be the new one; None: there is room.

        Args:
            newest: stamp of the newest image that has arrived, ns; None: no image has arrived.
        """

        def is_ahead(waiting: WaitingPrompt) -> bool:
            return newest is None or waiting.stamp > newest

        competing = [
            waiting
            for waiting in self._waiting
            if waiting.source.name == new.source.name and is_ahead(waiting) == is_ahead(new)
        ]
        evicted = None
        if len(competing) >= new.source.max_waiting:
            latest = max(competing, key=lambda waiting: waiting.stamp)
            evicted = latest if is_ahead(new) and new.stamp < latest.stamp else new
        if evicted is not new:
            self._waiting.append(new)
        if evicted is not None and evicted is not new:
            self._waiting.remove(evicted)
        return evicted

    def add(self, prompts: Iterable[WaitingPrompt]) -> None:
        """Add the prompts that follow from the detections of one message, before all others: they are due at once."""
        self._waiting[:0] = prompts

    def remove(self, waiting: WaitingPrompt) -> None:
        """Remove a waiting prompt."""
        self._waiting.remove(waiting)

    def take(self, waiting: WaitingPrompt) -> bool:
        """Take a prompt, to be applied until `done`. Returns False if it is no longer waiting."""
        if waiting not in self._waiting:
            return False
        self._waiting.remove(waiting)
        self._applying = [waiting]
        return True

    def done(self) -> None:
        """Note that the taken prompt is answered."""
        self._applying = []

    def clear(self) -> list[WaitingPrompt]:
        """Empty the queue. Returns the prompts that were waiting."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def shift(self, after: int, nanoseconds: int) -> None:
        """Shift the stamps later than `after`, ns, together with the clock of the images."""
        for waiting in self._waiting:
            if waiting.stamp > after:
                waiting.stamp += nanoseconds

    def has_room(self, new: WaitingPrompt, newest: int, object_ids: Collection[int], max_objects: int) -> bool:
        """Whether there is room for the object of one more prompt, after all prompts whose images have arrived.

        Args:
            newest: stamp of the newest image that has arrived, ns.
            object_ids: IDs of the tracked objects.
        """
        if not new.starts_object(object_ids):
            return True
        starting = [
            waiting.prompt.object_id
            for waiting in [*self._applying, *self._waiting]
            if waiting.proposal is None and waiting.stamp <= newest and waiting.starts_object(object_ids)
        ]
        if new.prompt.object_id and new.prompt.object_id in starting:
            return True
        return len(object_ids) + starting.count(0) + len(set(starting) - {0}) < max_objects
