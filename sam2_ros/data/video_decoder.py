"""Decoding of video files, with PyAV: one decoder for all, so that a frame has the same pixels everywhere."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sam2_ros.data.clips import ClipError

OLDEST = (14, 2)
"""The version of PyAV from which on frames tell how they were turned. Distributions have older ones."""

_OPEN: weakref.WeakSet[Decoder] = weakref.WeakSet()


def _leave_alone() -> None:
    """Keeps the parent's decoders for ever: their threads are not in this process, and freeing waits for those."""
    for decoder in _OPEN:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(decoder))


os.register_at_fork(after_in_child=_leave_alone)


def pyav() -> ModuleType:
    """PyAV, loaded only where a video file is read or written. Raises ImportError where it is missing or too old."""
    try:
        import av
    except ImportError as error:
        raise ImportError("reading and writing video files takes PyAV: pip install av") from error
    if tuple(map(int, av.__version__.split(".")[:2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        problem = f"reading and writing video files takes PyAV {oldest} or newer, here is {av.__version__}"
        raise ImportError(f"{problem}: pip install --upgrade av")
    return av


class Decoder:
    """A video file, open at its beginning. The caller numbers packets; a frame is known by the number of its packet.

    `rate` is the frame rate that the file's header tells, 0 where it doesn't. Raises ClipError when the file can't be
    opened as a video, and ImportError without PyAV.

    Args:
        threads: decode several frames at once. What is made of damaged ones is not the same each time then, and some
            at the end may be missing.
    """

    def __init__(self, file: Path, threads: bool = True) -> None:
        self._closed = True
        av = pyav()
        self.file = file
        self.process = os.getpid()
        self.threads = threads
        self.errors = 0  # packets that could not be decoded
        self.damaged = False  # by what was decoded up to now
        self._missing = 0  # frames that were to come
        self._error = av.error.FFmpegError
        try:
            # A path from the root, since 10:00:00.mp4 would be an address; and no list of addresses as a video either.
            options = {"protocol_whitelist": "file"}
            self._container = av.open(str(file.absolute()), options=options, metadata_errors="replace")
        except (self._error, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ClipError(file, f"cannot be opened as a video: {reason}") from error
        self._closed = False
        _OPEN.add(self)
        stream = self._container.streams.best("video")
        if stream is None or stream.codec_context is None:
            self.close()
            raise ClipError(file, "cannot be opened as a video: there is no video in it that can be decoded")
        stream.thread_type = "AUTO" if threads else "NONE"  # left alone, PyAV decodes most files on one core
        self._stream = stream
        self._reformatter = av.video.reformatter.VideoReformatter()
        self.codec: str = stream.codec_context.name
        self.container: str = self._container.format.name
        self.time_base = stream.time_base
        self.lists_frames = stream.frames > 0 and "mov" in self.container  # and so knows their mean rate
        rate = stream.average_rate or stream.guessed_rate
        self.rate = float(rate) if rate else 0.0
        self.size: tuple[int, int] = (stream.codec_context.height, stream.codec_context.width)

    def packets(self) -> Iterator[Any]:
        """What is left of the video's packets, in the order of the file, as far as it can be read."""
        with suppress(self._error):
            for packet in self._container.demux(self._stream):
                if packet.size:  # an empty one would tell the decoder that this is the end
                    yield packet

    def shows(self, packet: Any) -> bool:
        """Whether a packet holds a frame to show, as far as can be seen from outside."""
        if packet.is_discard:
            return False
        # Of VP8, some are there only for others to refer to. VP9 and AV1 put such into the packet of another one.
        return self.codec not in ("vp8", "libvpx") or memoryview(packet)[0] >> 4 & 1 == 1

    def decode(self, number: int, packet: Any) -> list[tuple[int, Any]]:
        """Hands in a packet and returns the frames that are complete, each with the number of its packet."""
        self._missing += self.shows(packet)
        self.damaged |= packet.is_corrupt
        packet.pts = packet.dts = number  # which a decoder hands on to the frame
        return self._decoded(packet)

    def rest(self) -> list[tuple[int, Any]]:
        """The frames that the decoder still holds at the end of the file."""
        return self._decoded(None)

    def _decoded(self, packet: Any) -> list[tuple[int, Any]]:
        try:
            frames = self._stream.decode(packet)
        except self._error:
            self.errors += 1
            self.damaged = True
            return []
        self._missing -= len(frames)
        self.damaged |= any(frame.is_corrupt for frame in frames)
        return [(frame.pts, frame) for frame in frames]

    def frames(self, packets: Iterable[tuple[int, Any]] | None = None) -> Iterator[tuple[int, Any]]:
        """All frames of these numbered packets, or of all that are left, with the numbers of their packets."""
        for number, packet in enumerate(self.packets()) if packets is None else packets:
            yield from self.decode(number, packet)
        yield from self.rest()

    @property
    def doubtful(self) -> bool:
        """After the last frame: whether decoding without threads might give others."""
        return self.threads and (self.damaged or self._missing > 0)

    def pixels(self, frame: Any) -> np.ndarray:
        """uint8 [H, W, 3] RGB, turned as the file says that it was held."""
        rotation = frame.rotation
        # Bicubic matters where colours are reduced to 8 bits: it is what OpenCV takes.
        image = self._reformatter.reformat(frame, format="rgb24", interpolation="BICUBIC").to_ndarray()
        turns = round(rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image

    def seek(self, timestamp: int) -> bool:
        """Goes to a packet at or before a time, in units of `time_base`, roughly. Returns whether it could."""
        try:
            self._container.seek(timestamp, stream=self._stream)
        except (self._error, OSError):
            return False
        return True

    @property
    def is_open(self) -> bool:
        """Whether it can be used here: not closed, and not left over from the process that this one was forked from."""
        return not self._closed and self.process == os.getpid()

    def close(self) -> None:
        """Closes the file. Frames stay, and so does `pixels`."""
        if self.is_open:
            self._closed = True
            self._container.close()
            self._stream = None  # which holds the threads
            _OPEN.discard(self)

    def __del__(self) -> None:
        self.close()  # at once: a container and its streams hold each other
