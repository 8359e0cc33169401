"""Problems of a stream: what is wrong now or was a moment ago, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus

from sam2_ros.ros import losses
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.quantity import quantity

OK, WARN, ERROR, STALE = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE

_SEVERITY = {ERROR: 0, STALE: 1, WARN: 2, OK: 3}


STUCK_TIMEOUT = 10.0
"""Seconds of work on one image until it is a problem."""


@dataclass(frozen=True)
class Problem:
    """What is wrong, and what to do about it.

    Attributes:
        name: one word or two, the same for the same kind of problem.
        level: of `DiagnosticStatus`. STALE: the newest masklets are old. OK: worth knowing, but not wrong.
    """

    name: str
    level: bytes
    text: str

    @property
    def sentence(self) -> str:
        """The text as a line of the log."""
        return self.text[:1].upper() + self.text[1:]


EVENTS: dict[str, tuple[bytes, str]] = {
    "out of memory": (
        ERROR,
        "the GPU is out of memory: {detail}. Remove objects, lower max_objects or image_size, or choose a smaller"
        " model",
    ),
    "failed": (ERROR, "{number} images or prompts have failed: {detail}. The node goes on; please report the log"),
    "unreadable": (ERROR, "{images} could not be read: {detail}"),
    "stray": (
        WARN,
        "{number} images were left out, because their stamps are far from the others': do two cameras, or a camera and"
        " a bag, publish on this topic? To follow the other, call ~/reset",
    ),
    "repeated": (
        WARN,
        "{number} images were left out, because they have the same stamp as the one before: the camera must stamp each"
        " image, or leave the stamp 0, for the time of arrival",
    ),
    "time jumps": (WARN, "time has jumped, {detail}"),
    "time leaps": (WARN, "time has jumped, {detail}"),
    "wrong stamps": (
        WARN,
        "stamps were wrong, {detail}; tracked objects are kept. Is the camera's clock being set (NTP, PTP)?",
    ),
    "resolution changes": (WARN, "the resolution has changed, {detail}; tracked objects are kept"),
    "frame changes": (
        WARN,
        "frame_id has changed, {detail}; tracked objects are kept. If this is another camera, call ~/reset, or give"
        " each camera its own topic",
    ),
}
"""Counted events that are problems for as long as they are recent: level and text, the most important first."""


def recent_problems(meter: Meter, lossless: bool) -> list[Problem]:
    """Problems of the last seconds.

    Args:
        lossless: whether every image is to be processed.
    """
    found = []
    for event, (level, text) in EVENTS.items():
        if (recent := meter.recent(event)) is not None:
            images, detail = quantity(recent.number, "image"), recent.detail or "see the log"
            found.append(Problem(event, level, text.format(number=recent.number, images=images, detail=detail)))
    if lossless and (lost := meter.recent("dropped")) is not None:
        text = "images are lost, because more come than can be processed: play more slowly, or set a larger queue_size"
        found.append(Problem("dropped", WARN, f"{lost.number} {text}"))
    dropped = {
        reason: recent.number
        for reason in losses.REASONS
        if (recent := meter.recent(f"detections {reason}")) is not None
    }
    if dropped:
        found.append(Problem("detections", WARN, losses.describe(dropped)))
    return found


def stuck(busy: float) -> Problem | None:
    """The problem that one image, or the prompts behind it, have kept the network busy for `busy` s, if it is one."""
    if busy < STUCK_TIMEOUT:
        return None
    text = (
        f"the network has worked on one image for {busy:.0f} s: if each takes so long, choose a smaller model or"
        " image_size; else the device hangs (dmesg, nvidia-smi): start the node again"
    )
    return Problem("stuck", STALE, text)


def lost_gpu(why: str) -> str:
    """The reason to refuse everything after an error of the GPU, `why`."""
    return f"the GPU is lost to this process ({excerpt(why, 200)}); only a new process can use it again"


def by_severity(problems: Iterable[Problem]) -> list[Problem]:
    """Errors first, then what is stale, warnings, and notes; otherwise in their order."""
    return sorted(problems, key=lambda problem: _SEVERITY[problem.level])
