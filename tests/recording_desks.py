"""Desks over small annotation projects, served in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from small_network import default_network

from sam2_ros.annotation.project import Project
from sam2_ros.annotation.project_recording import recording_of
from sam2_ros.desk.recorded.commands import Commands
from sam2_ros.desk.recorded.recording_desk import RecordingDesk
from sam2_ros.desk.server import Server
from sam2_ros.model.sam2 import SAM2

FRAMES, HEIGHT, WIDTH = 9, 48, 64
"""Of the projects' recordings."""


@cache
def small_network() -> SAM2:
    return default_network()


@contextmanager
def served(project: Path, load: Callable[[], SAM2] = small_network) -> Iterator[str]:
    """The address of a desk over a project."""
    with Project(project) as opened:
        recording = recording_of(opened)
    desk = RecordingDesk(project, recording, load, Commands(project, recording.path, {"size": 64}), "default", "ann")
    server = Server(desk, port=0)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


def click(x: float, y: float, positive: bool = True) -> dict:
    """A prompt."""
    return {"clicks": [{"x": x, "y": y, "positive": positive}]}
