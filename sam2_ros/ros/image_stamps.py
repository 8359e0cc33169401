"""The stamps of the images that prompts may refer to."""

from __future__ import annotations

from dataclasses import dataclass, field

from sam2_ros.ros.snapshot import Snapshot
from sam2_ros.ros.timeline import MAX_LATENESS


@dataclass(frozen=True)
class ImageStamps:
    """Stamps of processed and unprocessed images at one moment, ns."""

    processed: Snapshot = field(default_factory=Snapshot)
    pending: tuple[int, ...] = ()
    """Stamps of images that have arrived and are still to be processed, in order."""
    held: tuple[int, ...] = ()
    """Stamps of images that are held back because time may have jumped, ascending."""

    @property
    def newest_pending(self) -> int | None:
        """Stamp of the newest unprocessed image; None: there is none."""
        waiting = self.held or self.pending
        return waiting[-1] if waiting else None

    @property
    def newest(self) -> int | None:
        """The newest of all stamps; None: no image has arrived."""
        return max((*self.processed.stamps[-1:], *self.held, *self.pending[-1:]), default=None)

    @property
    def after_jump(self) -> tuple[int, ...]:
        """Stamps of unprocessed images after a backward jump of time; empty: there was no jump."""
        processed = self.processed.stamps
        if not processed:
            return ()
        return (*self.held, *(stamp for stamp in self.pending if processed[-1] - stamp > MAX_LATENESS))

    def is_after_jump(self, stamp: int) -> bool:
        """Whether a stamp belongs to an unprocessed image after a jump of time."""
        jumped = self.after_jump
        if not jumped:
            return False
        if stamp in jumped:
            return True
        if self.processed.find(stamp) is not None:
            return False
        return jumped[0] <= stamp <= jumped[-1] or stamp < self.processed.stamps[0]

    def is_foreign(self, stamp: int) -> bool:
        """Whether none of the images that have arrived can have this stamp."""
        if self.processed.find(stamp) is not None:
            return False
        processed, pending = self.processed.stamps, self.newest_pending
        if stamp < 0 or not processed:
            return stamp < 0
        return not processed[0] <= stamp <= (processed[-1] if pending is None else pending)
