"""Which packet of a video file holds which frame, and where decoding can begin.

Headers don't tell: a frame's number times the mean rate is not its time, frames are stored in another order than they
are shown in, and some packets hold none. What counts is the order in which a decoder that begins at the start of the
file gives the frames out. Packets foretell it without decoding; where they can't be trusted, all is decoded once.
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

LOOK = 8
"""So many frames are decoded while the packets are read, to see whether they come as foretold."""

BEGINNING = 500
"""So many packets tell the rate of a file that is not read to its end."""

SELF_CONTAINED = {
    "av1", "cfhd", "dnxhd", "dvvideo", "ffv1", "ffvhuff", "flv", "h263", "h264", "hevc", "huffyuv", "jpeg2000",
    "libaom-av1", "libdav1d", "libvpx", "libvpx-vp9", "magicyuv", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4",
    "msmpeg4", "msmpeg4v2", "png", "prores", "rawvideo", "utvideo", "v210", "vc1", "vp8", "vp9", "wmv1", "wmv2", "wmv3",
}  # fmt: skip
"""Decoders that need nothing from before a key frame. That of GIF, say, paints over the picture before."""


class Packet(NamedTuple):
    """What tells a packet from the others of its file."""

    pts: int | None
    position: int | None
    size: int

    @classmethod
    def of(cls, packet: Any) -> Packet:
        return cls(packet.pts, packet.pos, packet.size)


@dataclass(frozen=True)
class Order:
    """The order of frames, each known by the number of its packet in the file."""

    packets: Sequence[int]
    places: dict[int, int]
    """Of packets, the place of their frame."""
    starts: tuple[int, ...] = ()
    """Places of frames at which decoding can begin, ascending, beside the start of the file."""
    lost: frozenset[int] = frozenset()
    """Places of frames that can't be decoded."""
    exact: bool = False
    """Found by decoding everything."""
    damaged: tuple[int, ...] = ()
    """Places of damaged frames, ascending. What is made of them depends on all that was decoded before."""
    counted: bool = False
    """Frames don't tell their packets, and are counted instead."""

    @classmethod
    def of(cls, packets: Sequence[int], keys: Iterable[int] = (), **others: Any) -> Order:
        """`keys`: packets at which decoding can begin."""
        places = {number: place for place, number in enumerate(packets)}
        starts = tuple(sorted(places[number] for number in keys if places.get(number, 0) > 0))
        return cls(packets, places, starts, **others)

    def start(self, place: int) -> int:
        """The last place at or before this one at which decoding can begin; 0 is the start of the file."""
        index = bisect_right(self.starts, place)
        start = self.starts[index - 1] if index else 0
        return 0 if bisect_right(self.damaged, place) > bisect_left(self.damaged, start) else start

    def without(self, start: int) -> Order:
        """The same, but decoding does not begin at this place."""
        return replace(self, starts=tuple(other for other in self.starts if other != start))


class VideoIndex:
    """The frames of a video file.

    `count` is their number, which stays, whatever is found out about their `order` later. `fps` is how many there are
    in a second on average, 0 where neither the file nor the times of its frames tell. `size` is height and width.

    Raises ClipError where the file can't be opened as a video, ImportError without PyAV.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.path = file.absolute()  # it is opened later as well
        self._packets: list[Packet] = []
        self._times: list[int | None] = []  # of packets: when they are decoded
        self._keys: list[int] = []  # packets
        self._cut: set[int] = set()  # packets that may not be there in full
        decoder = Decoder(file)
        try:
            trusted = self._read(decoder) and self._ends_as_foretold(decoder)
        finally:
            decoder.close()
        if not trusted:
            self.decode_all()
            self._trim()
        self.count = len(self.order.packets)

    def _read(self, decoder: Decoder) -> bool:
        """Reads all packets. Returns whether they tell what frames there are."""
        shown: list[int] = []  # packets that have a frame, as far as can be seen
        decoded: list[int] = []  # when
        begun: list[tuple[int, Any]] = []  # frames, for a look
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
            if len(begun) < LOOK and (number < 8 * LOOK or not begun):
                begun += decoder.decode(number, packet)
        if not self._packets:
            raise ClipError(self.file, "cannot be opened as a video: there are no frames in it")
        if len(begun) < LOOK:
            begun += decoder.rest()

        stamps = {number: stamp for number in shown if (stamp := self._packets[number].pts) is not None}
        timed = len(set(stamps.values())) == len(shown) and self._packets[0].pts is not None
        foretold = sorted(shown, key=stamps.__getitem__) if timed else shown
        self._numbers = {packet: number for number, packet in enumerate(self._packets)}
        self.can_seek = len(self._numbers) == len(self._packets) and decoder.codec in SELF_CONTAINED
        self.order = Order.of(foretold, self._keys if self.can_seek else ())
        self.fps = _rate(decoder, list(stamps.values()) if timed else [])
        self.size = decoder.pixels(begun[0][1]).shape[:2] if begun else decoder.size
        return (
            timed
            and self._keys[:1] == [0]  # else frames at the start lack what they refer to
            and not any(stamp < (self._packets[0].pts or 0) for stamp in stamps.values())  # so do these
            and foretold[: len(begun)] == [number for number, _ in begun]
            and not any(frame.interlaced_frame for _, frame in begun)  # half images can have packets of their own
            and all(time <= later for time, later in pairwise(decoded))
            and not decoder.damaged
        )

    def _ends_as_foretold(self, decoder: Decoder) -> bool:
        """Of streams, which may be cut anywhere, the end is decoded."""
        if "mpeg" not in decoder.container:
            return True
        self._cut.add(len(self._packets) - 1)
        start = self.order.start(len(self.order.packets) - 1)
        packets = self.packets_from(decoder, self.order.packets[start])
        end = [number for number, _ in decoder.frames(packets) if self.order.places.get(number, -1) >= start]
        return end == self.order.packets[start:] and not decoder.damaged

    def decode_all(self) -> None:
        """Finds the order of the frames by decoding them."""
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
        found = list(corrupt)
        if len(corrupt) < len(frames) or None in corrupt:
            self.order = Order.of(range(len(frames)), exact=True, damaged=(0,), counted=True)
            return
        if not decoder.damaged:
            self.order = Order.of(found, keys, exact=True)
            return
        if [number for number in self.order.packets if number in corrupt] == found:  # what is lost keeps its place
            found = list(self.order.packets)
        order = Order.of(found, keys, exact=True)
        lost = frozenset(order.places[number] for number in found if number not in corrupt)
        damaged = lost.union(order.places[number] for number in found if corrupt.get(number) or number in self._cut)
        self.order = replace(order, lost=lost, damaged=tuple(sorted(damaged)) or (0,))

    def _trim(self) -> None:
        """Leaves out what is lost since the file begins before its first key frame, or was cut at the end."""
        order = self.order
        if len(order.lost) == len(order.packets):
            return
        last = len(self._packets) - 1
        gone = {order.places[last]} & order.lost if last in self._cut and last in order.places else set()
        key = next((order.places[number] for number in self._keys if number in order.places), 0)
        gone.update(takewhile(order.lost.__contains__, range(key)))
        if gone:
            kept = [number for place, number in enumerate(order.packets) if place not in gone]
            keys = [order.packets[start] for start in order.starts]
            trimmed = Order.of(kept, keys, exact=True)
            lost = frozenset(trimmed.places[order.packets[place]] for place in order.lost - gone)
            damaged = (trimmed.places[order.packets[place]] for place in order.damaged if place not in gone)
            self.order = replace(trimmed, lost=lost, damaged=tuple(damaged) or (0,))  # not to be decoded in threads

    def packets_from(self, decoder: Decoder, number: int) -> Iterator[tuple[int, Any]]:
        """The packets from this one on, wherever the decoder is; none where it isn't found."""
        key = bisect_left(self._keys, number)
        for target in (number, *(self._keys[key - back] for back in (1, 2, 8, 64, key) if 0 < back <= key)):
            time = self._times[target]
            if time is None or not decoder.seek(time):
                continue
            sought = number
            for packet in decoder.packets():
                found = self._numbers.get(Packet.of(packet), -1)
                if found == sought:
                    yield found, packet
                    sought += 1
                elif sought > number:  # something is amiss after the first
                    return
                elif found > number:  # too late
                    break
            if sought > number:
                return


def _rate(decoder: Decoder, stamps: Sequence[int]) -> float:
    """Frames per second: as the file says, unless the times of its frames say something else."""
    if not stamps or max(stamps) == min(stamps):
        return decoder.rate
    measured = float((len(stamps) - 1) / ((max(stamps) - min(stamps)) * Fraction(decoder.time_base)))
    return decoder.rate if abs(measured - decoder.rate) < 0.02 * measured else measured


def frame_rate(file: Path) -> float:
    """Frames per second, of a long file from its list of frames or its beginning alone. Raises ClipError."""
    decoder = Decoder(file)
    try:
        if decoder.lists_frames:
            return decoder.rate
        stamps = sorted(packet.pts for packet in islice(decoder.packets(), BEGINNING) if packet.pts is not None)
        # Between the last ones of many, others may be missing, which come later in the file.
        return _rate(decoder, stamps[:-16] if len(stamps) == BEGINNING else stamps)
    finally:
        decoder.close()
