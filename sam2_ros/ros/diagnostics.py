"""The node's messages on /diagnostics."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from sam2_ros.acceleration import choice_of
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.image_queue import ImageQueue
from sam2_ros.ros.losses import REASONS
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.problems import Problem, by_severity, recent_problems
from sam2_ros.tracking.tracker import Tracker


SKIPPING = 1.2
"""Ratio of arriving to processed images from which the message says that some are skipped."""


def idle(name: str, level: bytes, text: str, stamp: Time) -> DiagnosticArray:
    """The message of a node that is not tracking; `text` is the reason."""
    status = DiagnosticStatus(level=level, name=f"{name}: tracking", message=excerpt(text))
    message = DiagnosticArray(status=[status])
    message.header.stamp = stamp
    return message


class Diagnostics:
    """Builds the diagnostics of a node that is tracking.

    Args:
        name: the node's name, with its namespace.
        lossless: whether every image is to be processed.
    """

    def __init__(self, name: str, tracker: Tracker, images: ImageQueue, meter: Meter, lossless: bool) -> None:
        self._name = name
        self._lossless = lossless
        self._tracker = tracker
        self._images = images
        self._meter = meter
        network = tracker.network
        choice = choice_of(network)
        self._constants = {
            "model": network.config.name,
            "device": _device_name(network.device),
            "dtype": str(tracker.dtype).removeprefix("torch."),
            "attention kernel": choice.kernels + (", in CUDA graphs" if choice.graphs else ""),
            "threads": str(torch.get_num_threads()),
        }

    def status(self, objects: int, standing: Iterable[Problem] = ()) -> DiagnosticStatus:
        """What is wrong, counts, rate and latencies. The message is the worst problem; the values hold all of them.

        Args:
            objects: number of tracked objects.
            standing: problems that are known elsewhere, the most important first.
        """
        meter = self._meter
        summary, arriving = meter.summary(), meter.arrival_rate
        rate = summary.pop("rate")
        found = by_severity([*standing, *recent_problems(meter, self._lossless)])
        if found:
            level, text = found[0].level, found[0].text
        elif not rate:
            level, text = DiagnosticStatus.WARN, "no images yet"
        else:
            level = DiagnosticStatus.OK
            skipped = not self._lossless and arriving > SKIPPING * rate
            of = f" of {arriving:.1f} that come, always the newest" if skipped else ""
            text = f"{rate:.1f} images / s{of}, {objects} objects"

        values = {f"problem: {problem.name}": excerpt(problem.text) for problem in found}
        values |= {
            "rate (1/s)": f"{rate:.2f}",
            "arriving images (1/s)": f"{arriving:.2f}",
            "objects": str(objects),
            "images waiting": str(len(self._images)),
        }
        values |= {f"{name} (ms)": f"{value:.1f}" for name, value in summary.items()}
        counted = ("received", "processed", "dropped", "repeated", "late", "stray", "unreadable", "failed")
        values |= {f"images {event}": str(meter[event]) for event in counted}
        answers = "accepted", "refused"
        prompts = answers, (*answers, "known", "unsure", *(why for why in REASONS if why not in answers))
        for kind, events in zip(("prompts", "detections"), prompts, strict=True):
            values |= {f"{kind} {event}": str(meter[f"{kind} {event}"]) for event in events}
        named = "time jumps", "time leaps", "wrong stamps", "resolution changes", "frame changes", "out of memory"
        values |= {name: str(meter[name]) for name in named}
        values |= {"memory (MiB)": f"{_resident_memory() / 2**20:.0f}"}
        device = self._tracker.network.device
        if device.type == "cuda":
            values["GPU memory (MiB)"] = f"{torch.cuda.memory_allocated(device) / 2**20:.0f}"
            values["GPU memory, peak (MiB)"] = f"{torch.cuda.max_memory_allocated(device) / 2**20:.0f}"
        return DiagnosticStatus(
            level=level,
            name=f"{self._name}: tracking",
            message=excerpt(text),
            hardware_id=self._constants["device"],
            values=[KeyValue(key=key, value=value) for key, value in (values | self._constants).items()],
        )

    def message(self, stamp: Time, objects: int, standing: Iterable[Problem] = ()) -> DiagnosticArray:
        """`status` as the only one of a message."""
        message = DiagnosticArray(status=[self.status(objects, standing)])
        message.header.stamp = stamp
        return message


def _resident_memory() -> int:
    """Resident memory of this process, bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _device_name(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
