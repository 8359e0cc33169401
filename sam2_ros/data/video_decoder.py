"""Decoding of video files with PyAV, the same for all readers, so that a frame always has the same pixels."""

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

MIN_PYAV = (14, 2)
"""The first version of PyAV with `rotation` of frames. Linux distributions have older ones."""

_OPEN: weakref.WeakSet[Decoder] = weakref.WeakSet()


def _keep_forever() -> None:
    """Never free the parent's decoders: that would wait for their threads, which don't exist in this process."""
    for decoder in _OPEN:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(decoder))


os.register_at_fork(after_in_child=_keep_forever)


def pyav() -> ModuleType:
    """Import PyAV lazily. Raises ImportError if it is missing or too old."""
    try:
        import av
    except ImportError as error:
        raise ImportError("reading and writing video files needs PyAV: pip install av") from error
    if tuple(map(int, av.__version__.split(".")[:2])) < MIN_PYAV:
        oldest = ".".join(map(str, MIN_PYAV))
        problem = f"reading and writing video files needs PyAV {oldest} or newer, found {av.__version__}"
        raise ImportError(f"{problem}: pip install --upgrade av")
    return av


class Decoder:
    """Decoder of a video file. The caller numbers packets; a frame is identified by the number of its packet.

    `rate` is the frame rate in the header, 0 if unknown. Raises ClipError if the file can't be opened as a video, and
    ImportError without PyAV.

    Args:
        file: path.
        threads: decode several frames at once. Damaged frames are not reproducible then, and some at the end may be
            missing.
    """

    def __init__(self, file: Path, threads: bool = True) -> None:
        self._closed = True
        av = pyav()
        self.file = file
        self.process = os.getpid()
        self.threads = threads
        self.errors = 0  # packets that could not be decoded
        self.damaged = False  # whether damage was found so far
        self._missing = 0  # expected frames that have not come
        self._error = av.error.FFmpegError
        try:
            # An absolute path, since 10:00:00.mp4 would be a URL; and no playlists of URLs.
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
            raise ClipError(file, "cannot be opened as a video: contains no video that can be decoded")
        stream.thread_type = "AUTO" if threads else "NONE"  # by default, PyAV decodes most files on one core
        self._stream = stream
        self._reformatter = av.video.reformatter.VideoReformatter()
        self.codec: str = stream.codec_context.name
        self.container: str = self._container.format.name
        self.time_base = stream.time_base
        self.lists_frames = stream.frames > 0 and "mov" in self.container  # which gives their mean rate
        rate = stream.average_rate or stream.guessed_rate
        self.rate = float(rate) if rate else 0.0
        self.size: tuple[int, int] = (stream.codec_context.height, stream.codec_context.width)

    def packets(self) -> Iterator[Any]:
        """Remaining packets in the order of the file, as far as it can be read."""
        with suppress(self._error):
            for packet in self._container.demux(self._stream):
                if packet.size:  # an empty one means the end to the decoder
                    yield packet

    def shows(self, packet: Any) -> bool:
        """Whether a packet has a visible frame, judging by its header."""
        if packet.is_discard:
            return False
        # VP8 has packets of reference frames that are not shown. VP9 and AV1 put these into other packets.
        return self.codec not in ("vp8", "libvpx") or memoryview(packet)[0] >> 4 & 1 == 1

    def decode(self, number: int, packet: Any) -> list[tuple[int, Any]]:
        """Decode a packet. Returns completed frames with the numbers of their packets."""
        self._missing += self.shows(packet)
        self.damaged |= packet.is_corrupt
        packet.pts = packet.dts = number  # the decoder passes it on to the frame
        return self._decoded(packet)

    def rest(self) -> list[tuple[int, Any]]:
        """Frames that the decoder still buffers at the end of the file."""
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
        """All frames of numbered packets, or of all remaining ones, with the numbers of their packets."""
        for number, packet in enumerate(self.packets()) if packets is None else packets:
            yield from self.decode(number, packet)
        yield from self.rest()

    @property
    def doubtful(self) -> bool:
        """Whether decoding without threads may have another result; valid after the last frame."""
        return self.threads and (self.damaged or self._missing > 0)

    def pixels(self, frame: Any) -> np.ndarray:
        """Pixels of a frame with the file's rotation: uint8 [H, W, 3] RGB."""
        rotation = frame.rotation
        # Bicubic, as OpenCV does it; it matters for colours of more than 8 bits.
        image = self._reformatter.reformat(frame, format="rgb24", interpolation="BICUBIC").to_ndarray()
        turns = round(rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image

    def seek(self, timestamp: int) -> bool:
        """Seek a packet at or before a time in units of `time_base`, roughly. Returns whether that succeeded."""
        try:
            self._container.seek(timestamp, stream=self._stream)
        except (self._error, OSError):
            return False
        return True

    @property
    def is_open(self) -> bool:
        """Whether it can be used: not closed, and not opened before a fork."""
        return not self._closed and self.process == os.getpid()

    def close(self) -> None:
        """Close the file. Frames and `pixels` can still be used."""
        if self.is_open:
            self._closed = True
            self._container.close()
            self._stream = None  # which has the threads
            _OPEN.discard(self)

    def __del__(self) -> None:
        self.close()  # at once: a container and its streams refer to each other
