"""The stamps of the images that prompts may be for."""

from __future__ import annotations

from dataclasses import dataclass, field

from sam2_ros.ros.snapshot import Snapshot
from sam2_ros.ros.timeline import LATE


@dataclass(frozen=True)
class ImageStamps:
    """Which images were processed and which wait, at one moment. Stamps are ns."""

    processed: Snapshot = field(default_factory=Snapshot)
    coming: tuple[int, ...] = ()
    """Of images that have come and are still to be processed, in their order."""
    held: tuple[int, ...] = ()
    """Of images that are held back and may mean that time has jumped, ascending."""

    @property
    def newest_coming(self) -> int | None:
        """Of the newest image that has come and is not processed; None: there is none."""
        waiting = self.held or self.coming
        return waiting[-1] if waiting else None

    @property
    def newest(self) -> int | None:
        """The newest stamp of all; None: no image has come."""
        return max((*self.processed.stamps[-1:], *self.held, *self.coming[-1:]), default=None)

    @property
    def after_jump(self) -> tuple[int, ...]:
        """Of images behind a jump of time back, which is still to be processed; empty: there is none."""
        processed = self.processed.stamps
        if not processed:
            return ()
        return (*self.held, *(stamp for stamp in self.coming if processed[-1] - stamp > LATE))

    def is_after_jump(self, stamp: int) -> bool:
        """Whether a stamp is of an image behind a jump of time, and of none that was processed."""
        jumped = self.after_jump
        if not jumped:
            return False
        if stamp in jumped:
            return True
        if self.processed.find(stamp) is not None:
            return False
        return jumped[0] <= stamp <= jumped[-1] or stamp < self.processed.stamps[0]

    def is_foreign(self, stamp: int) -> bool:
        """Whether no image that has come can have this stamp."""
        if self.processed.find(stamp) is not None:
            return False
        processed, coming = self.processed.stamps, self.newest_coming
        if stamp < 0 or not processed:
            return stamp < 0
        return not processed[0] <= stamp <= (processed[-1] if coming is None else coming)
