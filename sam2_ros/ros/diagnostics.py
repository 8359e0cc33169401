"""The node's messages on /diagnostics."""

from __future__ import annotations

import os

import torch
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from sam2_ros.acceleration import choice_of
from sam2_ros.ros.depth.measuring import DEPTH_EVENTS
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.image_queue import ImageQueue
from sam2_ros.ros.losses import REASONS
from sam2_ros.ros.meter import Meter
from sam2_ros.tracking.tracker import Tracker


def array(statuses: list[DiagnosticStatus], stamp: Time) -> DiagnosticArray:
    """The message on /diagnostics."""
    message = DiagnosticArray(status=statuses)
    message.header.stamp = stamp
    return message


def idle(name: str, level: bytes, text: str) -> DiagnosticStatus:
    """The status of a camera that is not tracked; `text` is the reason."""
    return DiagnosticStatus(level=level, name=f"{name}: tracking", message=excerpt(text))


class Diagnostics:
    """Builds the diagnostics of a camera that is tracked.

    Args:
        name: full name of the node, and of the camera if there are several.
        lossless: whether every image is to be processed.
    """

    def __init__(self, name: str, tracker: Tracker, images: ImageQueue, meter: Meter, lossless: bool) -> None:
        self._name = name
        self._lossless = lossless
        self._tracker = tracker
        self._images = images
        self._meter = meter
        self._errors_before = self._lost_before = 0
        network = tracker.network
        choice = choice_of(network)
        self._constants = {
            "model": network.config.name,
            "device": _device_name(network.device),
            "dtype": str(tracker.dtype).removeprefix("torch."),
            "attention kernel": choice.kernels + (", in CUDA graphs" if choice.graphs else ""),
            "threads": str(torch.get_num_threads()),
        }

    def status(self, objects: int, depth_problem: str = "") -> DiagnosticStatus:
        """Counts, rate and latencies.

        Args:
            objects: the number of tracked objects.
            depth_problem: why there are no points and boxes although they are asked for.
        """
        summary = self._meter.summary()
        errors = self._meter["failed"] + self._meter["unreadable"]
        lost = self._meter["dropped"] if self._lossless else 0
        if errors > self._errors_before:
            level, text = DiagnosticStatus.ERROR, "images could not be processed, see the log"
        elif not summary["rate"]:
            level, text = DiagnosticStatus.WARN, "no images"
        elif lost > self._lost_before:
            level, text = DiagnosticStatus.WARN, "images are lost: more come than can be processed"
        elif depth_problem:
            level, text = DiagnosticStatus.WARN, excerpt(f"no points and boxes: {depth_problem}")
        else:
            level, text = DiagnosticStatus.OK, f"{summary['rate']:.1f} images / s, {objects} objects"
        self._errors_before, self._lost_before = errors, lost

        values = {
            "rate (1/s)": f"{summary.pop('rate'):.2f}",
            "objects": str(objects),
            "images waiting": str(len(self._images)),
        }
        values |= {f"{name} (ms)": f"{value:.1f}" for name, value in summary.items()}
        counted = ("received", "processed", "dropped", "repeated", "late", "stray", "unreadable", "failed")
        values |= {f"images {event}": str(self._meter[event]) for event in counted}
        values |= {f"depth {event}": str(self._meter[f"depth {event}"]) for event in DEPTH_EVENTS}
        answers = "accepted", "refused"
        prompts = answers, (*answers, "known", "unsure", *(why for why in REASONS if why not in answers))
        for kind, events in zip(("prompts", "detections"), prompts, strict=True):
            values |= {f"{kind} {event}": str(self._meter[f"{kind} {event}"]) for event in events}
        values |= {name: str(self._meter[name]) for name in ("time jumps", "wrong stamps")}
        values |= {"memory (MiB)": f"{_resident_memory() / 2**20:.0f}"}
        device = self._tracker.network.device
        if device.type == "cuda":
            values["GPU memory (MiB)"] = f"{torch.cuda.memory_allocated(device) / 2**20:.0f}"
            values["GPU memory, peak (MiB)"] = f"{torch.cuda.max_memory_allocated(device) / 2**20:.0f}"
        return DiagnosticStatus(
            level=level,
            name=f"{self._name}: tracking",
            message=text,
            hardware_id=self._constants["device"],
            values=[KeyValue(key=key, value=value) for key, value in (values | self._constants).items()],
        )


def _resident_memory() -> int:
    """Resident memory of this process, bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _device_name(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
