"""Parts of a stream for tests of single files. Stamps are milliseconds here."""

from __future__ import annotations

from robot import picture
from small_network import default_network
from std_msgs.msg import Header

from sam2_ros.ros.image_pipeline import PreparedImage
from sam2_ros.ros.image_queue import ArrivedImage
from sam2_ros.ros.image_stamps import ImageStamps
from sam2_ros.ros.images import to_message
from sam2_ros.ros.log import Log
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.resume_file import KeptObjects
from sam2_ros.ros.snapshot import ProcessedImage, Snapshot
from sam2_ros.ros.stamps import time_message
from sam2_ros.ros.tracking_session import TrackingSession
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.prompt import Click, Prompt
from sam2_ros.tracking.tracker import Tracker

MS = 1_000_000  # ns
CLICK = Prompt(clicks=(Click(40, 36),))


class WrittenLog:
    """A logger that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.log = Log(self)  # type: ignore[arg-type]

    def info(self, line: str) -> None:
        self.lines.append(line)

    warning = error = info


def header(milliseconds: int) -> Header:
    return Header(stamp=time_message(milliseconds * MS), frame_id="camera")


def image_stamps(
    processed: tuple[int, ...] = (), pending: tuple[int, ...] = (), held: tuple[int, ...] = ()
) -> ImageStamps:
    """Images of 80 x 60 pixels."""
    images = {stamp * MS: ProcessedImage(header(stamp), 60, 80) for stamp in processed}
    return ImageStamps(Snapshot(images), *(tuple(stamp * MS for stamp in group) for group in (pending, held)))


class Session:
    """A session with a real tracker, a meter and a log; `kept` as in `TrackingSession`."""

    def __init__(self, kept: KeptObjects | None = None) -> None:
        self.meter, self.written = Meter(), WrittenLog()
        self.shifts: list[tuple[int, int]] = []
        self.tracker = Tracker(default_network(), history=4)
        self.session = TrackingSession(
            self.tracker, self.meter, self.written.log, lambda *shift: self.shifts.append(shift), kept
        )

    def step(self, *stamps: int) -> Frame:
        """Track a picture for each stamp."""
        for stamp in stamps:
            pixels = picture(stamp % 20)
            arrived = ArrivedImage(to_message(pixels, "rgb8", header(stamp)), stamp * MS)
            frame = self.session.step(PreparedImage(arrived, pixels, self.tracker.encode(pixels)))
        return frame
