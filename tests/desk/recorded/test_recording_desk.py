"""Pages over an annotation project, over real sockets, with a small network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from desk_page import DeskPage
from small_network import default_network
from small_projects import make_project

from sam2_ros.annotation.project import Project
from sam2_ros.annotation.project_recording import recording_of
from sam2_ros.desk.recorded.commands import Commands
from sam2_ros.desk.recorded.recording_desk import RecordingDesk
from sam2_ros.desk.server import Server
from sam2_ros.tracking import rle

FRAMES = 9


def click(x: float, y: float, positive: bool = True) -> dict:
    return {"clicks": [{"x": x, "y": y, "positive": positive}]}


def decoded(mask: dict) -> np.ndarray:
    return rle.decode(np.array(mask["counts"]), mask["height"], mask["width"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path, frames=FRAMES, verified=False)


@pytest.fixture
def desk(project: Path) -> Iterator[str]:
    """The address of a desk over the project."""
    with Project(project) as opened:
        recording = recording_of(opened)
    backend = RecordingDesk(project, recording, default_network, Commands(project, recording.path), "default", "ann")
    server = Server(backend, port=0)
    server.start()
    yield server.url
    server.stop()


def test_everything(desk: str) -> None:
    with DeskPage(desk, "cleo") as page:
        print(page.hello)
        print(page.events)
        print(page.request("timeline"))
        masks = page.request("masks", first=0, last=8)["masks"]
        print(masks["0"][0])
        print(page.request("queue"))
        print(page.request("unsure", object_id=None, after=None))
        print(page.get("/picture/3?v=" + page.hello["fingerprint"])[:2])
        print(page.get("/strip/1?v=3")[:2])
        print(page.request("candidates", frame=0, prompt=click(20, 20)).keys())
        begun = page.request("begin", frame=2, prompt=click(20, 20), label="x", phase=1, seconds=1.5)
        print(begun)
        job = page.request("propagate", object_id=begun["object_id"], frame=2, phase=3, seconds=1)["job"]
        print(page.ended(job))
        print(page.request("undo"))
        job = page.request("export", formats=["sav"])
        print(job)
        print(page.ended(job["job"]))
        job = page.request("export", formats=["sav", "bag"], unverified=True)
        print(page.ended(job["job"]))
        job = page.request("propose")
        print(page.ended(job["job"]))
        print(page.events)
