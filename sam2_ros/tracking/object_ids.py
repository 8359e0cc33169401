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
        self.next = 1
        """The first ID that `free` tries."""
        self.used: set[int] = set()
        """IDs that are not allocated before all have been used."""

    def free(self, tracked: Collection[int]) -> int:
        """The next unused ID; after all have been used, the next one that is not tracked."""
        taken = self.used if len(self.used) < MAX_OBJECT_ID else tracked
        candidates = chain(range(self.next, MAX_OBJECT_ID + 1), range(1, self.next))
        return next(number for number in candidates if number not in taken)

    def skip(self, next_id: int) -> None:
        """Do not allocate IDs below this one, before all others have been used."""
        self.next = max(self.next, next_id)

    def use(self, object_id: int, tracked: Collection[int], allocated: bool) -> None:
        """Record the ID of a new object.

        Args:
            tracked: IDs of the other objects that are tracked.
            allocated: whether it came from `free`; otherwise a user chose it.
        """
        if len(self.used) == MAX_OBJECT_ID:
            self.used = set(tracked)
        self.used.add(object_id)
        if allocated or object_id >= self.next:
            self.next = object_id + 1
