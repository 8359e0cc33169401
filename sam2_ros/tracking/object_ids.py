"""Object IDs."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain

from sam2_ros.tracking.prompt import MAX_OBJECT_ID


class ObjectIds:
    """Allocates IDs in ascending order, 1 .. `MAX_OBJECT_ID`.

    The ID of a removed object is not reused before every ID has been used.
    """

    def __init__(self) -> None:
        self._next = 1
        self._used: set[int] = set()

    def free(self, tracked: Collection[int]) -> int:
        """The next unused ID; after all have been used, the next one that is not tracked."""
        taken = self._used if len(self._used) < MAX_OBJECT_ID else tracked
        candidates = chain(range(self._next, MAX_OBJECT_ID + 1), range(1, self._next))
        return next(number for number in candidates if number not in taken)

    def skip(self, next_id: int) -> None:
        """Do not allocate IDs below this one, before all others have been used."""
        self._next = max(self._next, next_id)

    def use(self, object_id: int, tracked: Collection[int], allocated: bool) -> None:
        """Record the ID of a new object.

        Args:
            tracked: IDs of the other objects that are tracked.
            allocated: whether it came from `free`; otherwise a user chose it.
        """
        if len(self._used) == MAX_OBJECT_ID:
            self._used = set(tracked)
        self._used.add(object_id)
        if allocated or object_id >= self._next:
            self._next = object_id + 1
