"""Index of a video file: the packet of each frame, and the frames at which decoding can begin.

Headers are not sufficient: a frame's number times the mean rate is not its time, frames are not stored in display
order, and some packets have no frame. The order is defined by a decoder that begins at the start of the file. It is
predicted from packets without decoding; if they can't be trusted, the file is decoded once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, pairwise, takewhile
from pathlib import Path
from typing import Any, NamedTuple

from sam2_ros.data.clips import ClipError
from sam2_ros.data.video_decoder import Decoder

CHECKED_FRAMES = 8
"""Number of frames decoded while packets are read, to check the predicted order."""

RATE_PACKETS = 500
"""Number of packets that give the frame rate of a file that is not read to its end."""

SELF_CONTAINED = {
    "av1", "cfhd", "dnxhd", "dvvideo", "ffv1", "ffvhuff", "flv", "h263", "h264", "hevc", "huffyuv", "jpeg2000",
    "libaom-av1", "libdav1d", "libvpx", "libvpx-vp9", "magicyuv", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4",
    "msmpeg4", "msmpeg4v2", "png", "prores", "rawvideo", "utvideo", "v210", "vc1", "vp8", "vp9", "wmv1", "wmv2", "wmv3",
}  # fmt: skip
"""Codecs whose key frames don't depend on earlier frames; those of GIF do."""


class Packet(NamedTuple):
    """Identity of a packet in its file."""

    pts: int | None
    position: int | None
    size: int

    @classmethod
    def of(cls, packet: Any) -> Packet:
        return cls(packet.pts, packet.pos, packet.size)


@dataclass(frozen=True)
class Order:
    """The order of frames, each identified by the number of its packet in the file."""

    packets: Sequence[int]
    places: dict[int, int]
    """Place of the frame of each packet."""
    starts: tuple[int, ...] = ()
    """Places at which decoding can begin, ascending, besides the start of the file."""
    lost: frozenset[int] = frozenset()
    """Places of frames that can't be decoded."""
    exact: bool = False
    """Whether the order comes from decoding the whole file."""
    damaged: tuple[int, ...] = ()
    """Places of damaged frames, ascending. Their pixels depend on all frames decoded before."""
    counted: bool = False
    """Whether frames can't be assigned to packets, and are counted instead."""

    @classmethod
    def of(cls, packets: Sequence[int], keys: Iterable[int] = (), **others: Any) -> Order:
        """Order of packets; decoding can begin at those in `keys`."""
        places = {number: place for place, number in enumerate(packets)}
        starts = tuple(sorted(places[number] for number in keys if places.get(number, 0) > 0))
        return cls(packets, places, starts, **others)

    def start(self, place: int) -> int:
        """The last place up to this one at which decoding can begin; 0 is the start of the file."""
        index = bisect_right(self.starts, place)
        start = self.starts[index - 1] if index else 0
        return 0 if bisect_right(self.damaged, place) > bisect_left(self.damaged, start) else start

    def without(self, start: int) -> Order:
        """The same order without this start of decoding."""
        return replace(self, starts=tuple(other for other in self.starts if other != start))


class VideoIndex:
    """The frames of a video file.

    `count` is their number, constant even if their `order` is corrected later. `fps` is the average frame rate, 0 if
    unknown. `size` is height and width.

    Raises ClipError if the file can't be opened as a video, ImportError without PyAV.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.path = file.absolute()  # it is opened again later
        self._packets: list[Packet] = []
        self._times: list[int | None] = []  # decoding times of packets
        self._keys: list[int] = []  # packets
        self._cut: set[int] = set()  # packets that may be incomplete
        decoder = Decoder(file)
        try:
            trusted = self._read(decoder) and self._ends_as_predicted(decoder)
        finally:
            decoder.close()
        if not trusted:
            self.decode_all()
            self._trim()
        self.count = len(self.order.packets)

    def _read(self, decoder: Decoder) -> bool:
        """Read all packets. Returns whether they can be trusted."""
        shown: list[int] = []  # packets that have a visible frame
        decoded: list[int] = []  # times
        checked: list[tuple[int, Any]] = []  # frames
        for number, packet in enumerate(decoder.packets()):
            self._packets.append(Packet.of(packet))
            self._times.append(packet.pts if packet.dts is None else packet.dts)
            if packet.dts is not None:
                decoded.append(packet.dts)
            if packet.is_corrupt:
                self._cut.add(number)
                decoder.damaged = True
            if packet.is_keyframe:
                self._keys.append(number)
            if decoder.shows(packet):
                shown.append(number)
            if len(checked) < CHECKED_FRAMES and (number < 8 * CHECKED_FRAMES or not checked):
                checked += decoder.decode(number, packet)
        if not self._packets:
            raise ClipError(self.file, "cannot be opened as a video: it has no frames")
        if len(checked) < CHECKED_FRAMES:
            checked += decoder.rest()

        stamps = {number: stamp for number in shown if (stamp := self._packets[number].pts) is not None}
        timed = len(set(stamps.values())) == len(shown) and self._packets[0].pts is not None
        predicted = sorted(shown, key=stamps.__getitem__) if timed else shown
        self._numbers = {packet: number for number, packet in enumerate(self._packets)}
        self.can_seek = len(self._numbers) == len(self._packets) and decoder.codec in SELF_CONTAINED
        self.order = Order.of(predicted, self._keys if self.can_seek else ())
        self.fps = _rate(decoder, list(stamps.values()) if timed else [])
        self.size = decoder.pixels(checked[0][1]).shape[:2] if checked else decoder.size
        return (
            timed
            and self._keys[:1] == [0]  # otherwise frames at the start lack their references
            and not any(stamp < (self._packets[0].pts or 0) for stamp in stamps.values())  # these do, too
            and predicted[: len(checked)] == [number for number, _ in checked]
            and not any(frame.interlaced_frame for _, frame in checked)  # fields can have their own packets
            and all(time <= later for time, later in pairwise(decoded))
            and not decoder.damaged
        )

    def _ends_as_predicted(self, decoder: Decoder) -> bool:
        """Decode the end of a stream, which may be cut anywhere, to check the order."""
        if "mpeg" not in decoder.container:
            return True
        self._cut.add(len(self._packets) - 1)
        start = self.order.start(len(self.order.packets) - 1)
        packets = self.packets_from(decoder, self.order.packets[start])
        end = [number for number, _ in decoder.frames(packets) if self.order.places.get(number, -1) >= start]
        return end == self.order.packets[start:] and not decoder.damaged

    def decode_all(self) -> None:
        """Find the order of frames by decoding all."""
        keys = [self.order.packets[start] for start in self.order.starts]
        for threads in (True, False):
            decoder = Decoder(self.path, threads)
            try:
                frames = [(number, frame.is_corrupt) for number, frame in decoder.frames()]
            finally:
                decoder.close()
            if not decoder.doubtful:
                break
        corrupt = dict(frames)
        numbers = list(corrupt)
        if len(corrupt) < len(frames) or None in corrupt:
            self.order = Order.of(range(len(frames)), exact=True, damaged=(0,), counted=True)
            return
        if not decoder.damaged:
            self.order = Order.of(numbers, keys, exact=True)
            return
        if [number for number in self.order.packets if number in corrupt] == numbers:  # lost frames keep their places
            numbers = list(self.order.packets)
        order = Order.of(numbers, keys, exact=True)
        lost = frozenset(order.places[number] for number in numbers if number not in corrupt)
        damaged = lost.union(order.places[number] for number in numbers if corrupt.get(number) or number in self._cut)
        self.order = replace(order, lost=lost, damaged=tuple(sorted(damaged)) or (0,))

    def _trim(self) -> None:
        """Drop lost frames before the first key frame, and at a cut end."""
        order = self.order
        if len(order.lost) == len(order.packets):
            return
        last = len(self._packets) - 1
        dropped = {order.places[last]} & order.lost if last in self._cut and last in order.places else set()
        key = next((order.places[number] for number in self._keys if number in order.places), 0)
        dropped.update(takewhile(order.lost.__contains__, range(key)))
        if dropped:
            numbers = [number for place, number in enumerate(order.packets) if place not in dropped]
            keys = [order.packets[start] for start in order.starts]
            trimmed = Order.of(numbers, keys, exact=True)
            lost = frozenset(trimmed.places[order.packets[place]] for place in order.lost - dropped)
            damaged = (trimmed.places[order.packets[place]] for place in order.damaged if place not in dropped)
            self.order = replace(trimmed, lost=lost, damaged=tuple(damaged) or (0,))  # disables threads

    def packets_from(self, decoder: Decoder, number: int) -> Iterator[tuple[int, Any]]:
        """Packets from a number on, with a seek; none if it can't be found."""
        key = bisect_left(self._keys, number)
        for target in (number, *(self._keys[key - back] for back in (1, 2, 8, 64, key) if 0 < back <= key)):
            time = self._times[target]
            if time is None or not decoder.seek(time):
                continue
            expected = number
            for packet in decoder.packets():
                actual = self._numbers.get(Packet.of(packet), -1)
                if actual == expected:
                    yield actual, packet
                    expected += 1
                elif expected > number:  # unexpected packet after the first
                    return
                elif actual > number:  # too late
                    break
            if expected > number:
                return


def _rate(decoder: Decoder, stamps: Sequence[int]) -> float:
    """Frames per second: that of the header, unless the times of frames disagree."""
    if not stamps or max(stamps) == min(stamps):
        return decoder.rate
    measured = float((len(stamps) - 1) / ((max(stamps) - min(stamps)) * Fraction(decoder.time_base)))
    return decoder.rate if abs(measured - decoder.rate) < 0.02 * measured else measured


def frame_rate(file: Path) -> float:
    """Frames per second, for a long file from its header or its beginning alone. Raises ClipError."""
    decoder = Decoder(file)
    try:
        if decoder.lists_frames:
            return decoder.rate
        stamps = sorted(packet.pts for packet in islice(decoder.packets(), RATE_PACKETS) if packet.pts is not None)
        # The last ones may be incomplete, as packets are not stored in display order.
        return _rate(decoder, stamps[:-16] if len(stamps) == RATE_PACKETS else stamps)
    finally:
        decoder.close()
