"""A finished run as a clip, for the writers of data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.recordings.masklet_store import StoredFrame
from sam2_ros.recordings.outputs.finished_run import FinishedRun
from sam2_ros.tracking import rle

Item = TypeVar("Item")


def stored_clip(run: FinishedRun) -> Clip:
    """All processed images of a run, with the masks of all objects. Decodes lazily; made to be read once, in order.

    Images that could not be decoded are left out. An object has an empty mask where it was not tracked, or where it is
    unknown; an image on which all are unknown is not annotated.
    """
    frames = run.store.frame_numbers
    object_ids = tuple(run.store.labels)

    def masks(stored: StoredFrame) -> np.ndarray | None:
        if run.known is not None and not stored.masks:
            return None
        rows = np.zeros((len(object_ids), stored.height, stored.width), bool)
        for mask in stored.masks:
            if mask.present:
                rows[object_ids.index(mask.object_id)] = rle.decode(mask.counts, stored.height, stored.width)
        return rows

    def ious(stored: StoredFrame) -> np.ndarray:
        by_object = {mask.object_id: mask.iou for mask in stored.masks}
        return np.array([by_object.get(object_id, 0.0) for object_id in object_ids])

    def of_stored(item: Callable[[StoredFrame], Item]) -> _InOrder[Item]:
        def at(frame: int) -> Item:
            stored = run.store.frame(frame)
            assert stored is not None
            return item(stored)

        return _InOrder(frames, at, lambda: map(item, run.store.frames()))

    def pixels(frame: int) -> np.ndarray:
        return next(run.recording.images(frame, frame + 1)).pixels

    def pictures() -> Iterator[np.ndarray]:
        for image, _ in run.pictures():
            yield image.pixels
            run.on_frame()

    name = run.recording.name
    images = _InOrder(frames, pixels, pictures)
    return Clip(
        name,
        images,
        object_ids,
        of_stored(masks),
        run.recording.fps,
        run.known,
        ious=of_stored(ious),
        labels=run.store.labels,
        attributes=run.attributes,
    )


class _InOrder(Sequence[Item]):
    """Items by frame: one at a time, or, which is faster, all in order.

    Args:
        frames: their frames.
        item: computes that of a frame.
        items: computes all.
    """

    def __init__(self, frames: Sequence[int], item: Callable[[int], Item], items: Callable[[], Iterator[Item]]) -> None:
        self._frames, self._item, self._items = frames, item, items

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: Any) -> Any:
        return self._item(self._frames[index])

    def __iter__(self) -> Iterator[Item]:
        return self._items()
