"""The node's messages on /diagnostics."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from sam2_ros.acceleration import choice_of
from sam2_ros.ros.depth.measuring import DEPTH_EVENTS
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.image_queue import ImageQueue
from sam2_ros.ros.losses import REASONS, UNDROPPED
from sam2_ros.ros.meter import Meter
from sam2_ros.ros.problems import OK, WARN, Problem, by_severity, recent_problems
from sam2_ros.ros.quantity import quantity
from sam2_ros.tracking.tracker import Tracker

SKIPPING = 1.2
"""Ratio of arriving to processed images from which the message says that some are skipped."""


def array(statuses: list[DiagnosticStatus], stamp: Time) -> DiagnosticArray:
    """The message on /diagnostics."""
    message = DiagnosticArray(status=statuses)
    message.header.stamp = stamp
    return message


def idle(name: str, problems: Iterable[Problem]) -> DiagnosticStatus:
    """The status of a camera that is not tracked, with at least one problem as the reason."""
    found = by_severity(problems)
    status = DiagnosticStatus(level=found[0].level, name=f"{name}: tracking", message=excerpt(found[0].text))
    status.values = _values(found)
    return status


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
        summary, arriving = self._meter.summary(), self._meter.arrival_rate
        rate = summary.pop("rate")
        found = by_severity([*standing, *recent_problems(self._meter, self._lossless)])
        if found and found[0].level != OK:
            level, text = found[0].level, found[0].text
        elif not rate:
            level, text = WARN, "no images yet"
        else:
            skipping = not self._lossless and arriving > SKIPPING * rate
            of = f" of {arriving:.1f} that arrive, always the newest" if skipping else ""
            level, text = OK, f"{rate:.1f} images / s{of}, {quantity(objects, 'object')}"

        values = {
            "rate (1/s)": f"{rate:.2f}",
            "arriving (1/s)": f"{arriving:.2f}",
            "objects": str(objects),
            "images waiting": str(len(self._images)),
        }
        values |= {f"{name} (ms)": f"{value:.1f}" for name, value in summary.items()}
        counted = ("left out", "received", "processed", "dropped", "repeated", "late", "stray", "unreadable", "failed")
        values |= {f"images {event}": str(self._meter[event]) for event in counted}
        values |= {f"depth {event}": str(self._meter[f"depth {event}"]) for event in DEPTH_EVENTS}
        answers = "accepted", "refused"
        prompts = answers, (*answers, *UNDROPPED, *(why for why in REASONS if why not in answers))
        for kind, events in zip(("prompts", "detections"), prompts, strict=True):
            values |= {f"{kind} {event}": str(self._meter[f"{kind} {event}"]) for event in events}
        named = "time jumps", "time leaps", "wrong stamps", "resolution changes", "frame changes", "out of memory"
        values |= {name: str(self._meter[name]) for name in named}
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
            values=_values(found)
            + [KeyValue(key=key, value=value) for key, value in (values | self._constants).items()],
        )


def _values(problems: Iterable[Problem]) -> list[KeyValue]:
    return [
        KeyValue(key=f"{'note' if problem.level == OK else 'problem'}: {problem.name}", value=excerpt(problem.text))
        for problem in problems
    ]


def _resident_memory() -> int:
    """Resident memory of this process, bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _device_name(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
