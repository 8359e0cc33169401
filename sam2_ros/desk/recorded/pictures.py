"""Pictures of a recording's frames, for pages that show, play and scrub."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

from sam2_ros.data.jpeg import encode_jpeg
from sam2_ros.desk.recorded.errors import ERRORS
from sam2_ros.recordings.recording import RecordedImage, Recording

QUALITY = 90
"""Of JPEG."""

BYTES = 128 << 20
"""Maximum size of the pictures that are kept."""

AHEAD = 24
"""Frames that are decoded before they are asked for, where somebody goes through the recording in order."""

PLACES = 3
"""Places in the recording from which it is read on, such as those of several pages that play."""

NEAR = 12
"""Frames ahead of a place that are reached faster by reading on than by searching."""

BACK = 12, 24, 48
"""Frames that are read together where somebody goes backwards, more and more: videos decode forwards only, and from a
key frame on."""


_log = logging.getLogger(__name__)


class PictureError(ValueError):
    """There is no such frame, or it is damaged; the message says why."""


class _Place:
    """A place in the recording, from which it is read on."""

    def __init__(self, recording: Recording, frame: int, backwards: int = 0) -> None:
        self.first = frame
        """Where it began."""
        self.backwards = backwards
        """How many times in a row somebody went back from a place to this one."""
        self.frame = frame
        """The next one."""
        self.until = frame
        """Frames before this one are read without being asked for."""
        self._images: Iterator[RecordedImage] = recording.images(frame)

    def is_near(self, frame: int) -> bool:
        return self.frame <= frame < self.frame + NEAR

    def read(self) -> RecordedImage | None:
        """The next image that is not damaged; None: there is no more."""
        image = next(self._images, None)
        self.frame = self.frame + 1 if image is None else image.index + 1
        return image


class Pictures:
    """Decodes frames in a thread of its own, and keeps the newest as JPEG.

    Args:
        recording: its images.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._bytes = 0
        self._sizes: dict[int, tuple[int, int]] = {}
        self._wanted: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._places: list[_Place] = []  # the one that was used last is the last one
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()
        self._places.clear()  # ends what reads there

    def jpeg(self, frame: int) -> Future[bytes]:
        """The picture of a frame. PictureError, or ClipError when the recording cannot be read any further."""
        with self._changed:
            if (kept := self._kept.get(frame)) is not None:
                self._kept.move_to_end(frame)
                for place in self._places:  # somebody plays what is ready already
                    if place.frame - AHEAD <= frame + 1 <= place.frame:
                        place.until = frame + 1 + AHEAD
                        self._changed.notify()
                future: Future[bytes] = Future()
                future.set_result(kept)
                return future
            if frame not in self._recording.span:
                future = Future()
                span = self._recording.span
                future.set_exception(PictureError(f"there is no frame {frame}; there are {span[0]} to {span[-1]}"))
                return future
            future = self._wanted.setdefault(frame, Future())
            self._wanted.move_to_end(frame)
            self._changed.notify()
            return future

    def size(self, frame: int) -> tuple[int, int] | None:
        """Height and width of a frame, if it has been decoded at any time."""
        return self._sizes.get(frame)

    # ---- in the thread

    def _run(self) -> None:
        while True:
            left: list[_Place] = []
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._wanted or self._ahead() is not None)
                if self._stopped:
                    break
                frame = self._next_wanted()
                place = self._ahead() if frame is None else self._place(frame, left)
            left.clear()  # ends what reads there, which takes a moment
            assert place is not None
            self._read(place, frame)
        for future in self._wanted.values():
            future.cancel()

    def _ahead(self) -> _Place | None:
        """The place that is read on without being asked for."""
        return next((place for place in reversed(self._places) if place.frame < place.until), None)

    def _next_wanted(self) -> int | None:
        """The frame to decode next: the first of those that are near a place, or else the one asked for last."""
        near = [frame for frame in self._wanted if any(place.is_near(frame) for place in self._places)]
        return min(near) if near else next(reversed(self._wanted), None)

    def _place(self, frame: int, left: list[_Place]) -> _Place:
        """The place from which a frame is read; one that is given up for it is put into `left`."""
        near = [place for place in self._places if place.is_near(frame)]
        behind = [place for place in self._places if 0 < place.first - frame <= NEAR]
        if near:
            place = max(near, key=lambda one: one.frame)
            self._places.remove(place)
        elif behind:
            left.append(behind[-1])
            self._places.remove(behind[-1])
            times = behind[-1].backwards
            first = frame + 1 - BACK[min(times, len(BACK) - 1)]
            place = _Place(self._recording, max(first, self._recording.span.start), times + 1)
        else:
            if len(self._places) == PLACES:
                left.append(self._places.pop(0))
            place = _Place(self._recording, frame)
        self._places.append(place)
        if not place.backwards or near:
            place.until = frame + 1 + AHEAD
        return place

    def _read(self, place: _Place, wanted: int | None) -> None:
        """Read one image, or all up to the one that is wanted."""
        while wanted is None or place.frame <= wanted:
            begin = place.frame
            try:
                image = place.read()
            except Exception as error:  # it cannot be read any further
                if not isinstance(error, ERRORS):
                    _log.exception("desk: frame %d", begin)
                self._leave(place)
                self._refuse(begin, self._recording.span.stop, error)
                return
            for frame in range(begin, self._recording.span.stop if image is None else image.index):
                reason = self._recording.damaged.get(frame, "it cannot be decoded")
                self._refuse(frame, frame + 1, PictureError(reason))
            if image is None:
                self._leave(place)
                return
            self._keep(image, encode_jpeg(image.pixels, QUALITY))
            if wanted is None:
                return

    def _leave(self, place: _Place) -> None:
        with self._changed:
            self._places.remove(place)

    def _keep(self, image: RecordedImage, jpeg: bytes) -> None:
        with self._changed:
            self._sizes[image.index] = image.pixels.shape[:2]
            self._bytes += len(jpeg) - len(self._kept.pop(image.index, b""))
            self._kept[image.index] = jpeg
            while self._bytes > BYTES and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1])
            future = self._wanted.pop(image.index, None)
        if future is not None:
            with suppress(InvalidStateError):
                future.set_result(jpeg)

    def _refuse(self, begin: int, end: int, error: Exception) -> None:
        """Those who wait for these frames get an error."""
        with self._changed:
            given = [self._wanted.pop(frame) for frame in [one for one in self._wanted if begin <= one < end]]
        for future in given:
            with suppress(InvalidStateError):
                future.set_exception(error)
