"""The last pictures of a camera, and the masklets on them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sam2_ros.desk.live.camera_image import CameraImage, Encoded
from sam2_ros.msg import MaskletArray

MAX_UNPAIRED = 32
"""Maximum number of pictures that wait for their masklets, and of masklets that wait for their picture."""


@dataclass(eq=False)
class Moment:
    """A picture with the masklets on it. One of them may be missing."""

    stamp: int
    """ns."""
    picture: CameraImage | None = None
    """Until it is encoded."""
    encoded: Encoded | None = None
    masklets: MaskletArray | None = None
    published_ms: float = 0.0
    """Wall clock time at which the masklets arrived, ms."""

    @property
    def has_picture(self) -> bool:
        return self.picture is not None or self.encoded is not None

    @property
    def is_pair(self) -> bool:
        return self.has_picture and self.masklets is not None

    @property
    def size(self) -> int:
        """Bytes of the picture."""
        arrived = 0 if self.picture is None else len(self.picture.data)
        return arrived + (0 if self.encoded is None else self.encoded.size)


class PictureHistory:
    """Pairs of pictures and masklets by their stamp. Bounded.

    Args:
        max_pictures: number of pairs that are kept.
        max_bytes: of all pictures together; the newest one is always kept.
    """

    def __init__(self, max_pictures: int, max_bytes: int) -> None:
        self._max_pictures = max_pictures
        self._max_bytes = max_bytes
        self._moments: OrderedDict[int, Moment] = OrderedDict()  # in the order of their arrival

    def add_picture(self, picture: CameraImage) -> Moment:
        """Add a picture. Returns its moment, which is a pair if its masklets are there already."""
        moment = self._moment(picture.stamp)
        moment.picture, moment.encoded = picture, None
        self._bound()
        return moment

    def add_masklets(self, stamp: int, masklets: MaskletArray, published_ms: float) -> Moment:
        """Add masklets. Earlier pictures that have none are forgotten: the node has left them out."""
        moment = self._moment(stamp)
        moment.masklets, moment.published_ms = masklets, published_ms
        if moment.is_pair:
            self._forget(lambda other: other.stamp < stamp and not other.is_pair)
        self._bound()
        return moment

    def get(self, stamp: int) -> Moment | None:
        """The moment with a stamp in ns, if it is kept."""
        return self._moments.get(stamp)

    @property
    def pairs(self) -> list[int]:
        """Stamps of the pictures with masklets, ns, ascending."""
        return sorted(stamp for stamp, moment in self._moments.items() if moment.is_pair)

    @property
    def newest_pair(self) -> Moment | None:
        """The pair that was completed last."""
        return next((moment for moment in reversed(self._moments.values()) if moment.is_pair), None)

    @property
    def size(self) -> int:
        """Bytes of all pictures."""
        return sum(moment.size for moment in self._moments.values())

    def __len__(self) -> int:
        return len(self._moments)

    def clear(self) -> None:
        """Forget everything."""
        self._moments.clear()

    def forget_before(self, stamp: int) -> None:
        """Forget what is older than an image."""
        self._forget(lambda moment: moment.stamp < stamp)

    def forget_after(self, stamp: int) -> None:
        """Forget what is newer than an image: time has jumped back to it."""
        self._forget(lambda moment: moment.stamp > stamp)

    def _moment(self, stamp: int) -> Moment:
        if (moment := self._moments.get(stamp)) is None:
            moment = self._moments[stamp] = Moment(stamp)
        self._moments.move_to_end(stamp)
        return moment

    def _forget(self, is_forgotten: Callable[[Moment], bool]) -> None:
        for moment in filter(is_forgotten, [*self._moments.values()]):
            del self._moments[moment.stamp]

    def _bound(self) -> None:
        moments = [*self._moments.values()]
        pairs = [moment for moment in moments if moment.is_pair]
        others = [moment for moment in moments if not moment.is_pair]
        for moment in (*pairs[: -self._max_pictures], *others[:-MAX_UNPAIRED]):
            del self._moments[moment.stamp]
        size = self.size
        for moment in [*self._moments.values()][:-1]:
            if size <= self._max_bytes:
                break
            size -= moment.size
            del self._moments[moment.stamp]
