"""`sam2_ros desk RECORDING` as a process: what it says, and what is left after it is killed."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from desk_page import DeskPage
from recording_desks import click
from small_clips import make_clip
from small_disk import mounted
from small_projects import make_project, write_images

from sam2_ros.annotation.project import Project
from sam2_ros.commands import desk as module
from sam2_ros.commands.annotation.opened_project import opened_project
from sam2_ros.commands.desk import main

FAST = ("--port", "0", "--no-browser", "--size", "64", "--device", "cpu", "--annotator", "ann")
TIMEOUT = 90.0  # s; generous, because the machine may be busy: only failures take so long


class Running:
    """A process of `sam2_ros desk`."""

    def __init__(self, log: Path, *arguments: object) -> None:
        command = [sys.executable, "-m", "sam2_ros", "desk", *map(str, arguments)]
        with open(log, "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        deadline = time.monotonic() + TIMEOUT
        while (found := re.search(r"http://\S+", log.read_text())) is None:
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"the desk is not up: {log.read_text()}"
            time.sleep(0.05)
        self.url = found[0]


@contextmanager
def running(log: Path, *arguments: object) -> Iterator[Running]:
    """Ends it as Ctrl-C does, unless it has ended."""
    desk = Running(log, *arguments)
    try:
        yield desk
    finally:
        if desk.process.poll() is None:
            desk.process.send_signal(signal.SIGINT)
            assert desk.process.wait(TIMEOUT) == 0, log.read_text()


def refused(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> str:
    """What it says, in one line, before it ends with exit status 2."""
    monkeypatch.setattr(sys, "argv", ["sam2_ros desk", *map(str, arguments), "--no-browser"])
    assert main() == 2
    said = capsys.readouterr().err
    assert said.startswith("desk: ") and said.count("\n") == 1, said
    return said


@pytest.mark.slow
def test_killed_in_the_middle_of_a_propagation(tmp_path: Path) -> None:
    """kill -9: what was answered is there, no masklet is there in part; the next desk goes on."""
    images = write_images(make_clip("walk", 100), tmp_path / "walk")
    project = tmp_path / "walk.annotation"  # as `sam2_ros annotate new` makes it
    with running(tmp_path / "log", images, *FAST) as desk, DeskPage(desk.url, "ben") as page:
        object_id = page.request("begin", frame=50, prompt=click(20, 20), label="cup", seconds=1)["object_id"]
        page.request("propagate", object_id=object_id, frame=50, phase=3)
        page.wait("job", lambda event: event["done"] > 5)
        desk.process.kill()
        assert desk.process.wait(TIMEOUT) == -signal.SIGKILL
    with Project(project) as opened:
        assert [mask.frame for mask in opened.masks_of(object_id)] == [50]
        assert opened.object(object_id).label == "cup"
    with running(tmp_path / "log", images, *FAST) as desk, DeskPage(desk.url, "ben") as page:
        assert page.hello["annotator"] == "ann" and page.hello["project"] == str(project)
        told = page.wait("project")
        assert [(one["label"], one["masks"]) for one in told["objects"]] == [("cup", 1)]
        job = page.request("propagate", object_id=object_id, frame=50, phase=3)["job"]
        assert page.ended(job)["state"] == "done"
        page.request("undo")
        page.request("undo")
        assert page.wait("project", lambda event: event["can_redo"] and not event["objects"])
    assert "Ctrl-C ends it" in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_killed_in_the_middle_of_an_export(tmp_path: Path) -> None:
    """Its command ends with it, since its terminal is gone."""
    project = make_project(tmp_path, frames=120)
    with running(tmp_path / "log", project, *FAST) as desk, DeskPage(desk.url, "ben") as page:
        page.request("export", formats=["bag", "davis", "coco", "video"])
        page.wait("job", lambda event: event["message"])
        ours = subprocess.run(["ps", "-o", "pid=", "--ppid", str(desk.process.pid)], capture_output=True, text=True)
        (child,) = map(int, ours.stdout.split()[:1])
        os.kill(child, 0)
        desk.process.kill()
        desk.process.wait(TIMEOUT)
    deadline = time.monotonic() + TIMEOUT
    while Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "the export goes on without its desk"
        time.sleep(0.05)
    with running(tmp_path / "log", project, *FAST) as desk, DeskPage(desk.url, "ben") as page:
        ended = page.ended(page.request("export", formats=["bag", "davis"])["job"])
        assert ended["state"] == "done", ended


def test_wrong_recording(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path, frames=9)
    other = write_images(make_clip("other", 9), tmp_path / "other")
    said = refused(capsys, monkeypatch, other, "--project", project)
    assert f"{other} is not the recording that {project} was made for: its content is another one" in said
    assert "there is no such file or folder" in refused(capsys, monkeypatch, tmp_path / "nothing")
    assert "leave --project out" in refused(capsys, monkeypatch, project, "--project", tmp_path / "p")
    assert "is the recording itself" in refused(capsys, monkeypatch, other, "--project", other)
    shutil.rmtree(tmp_path / "images")
    assert "is not there" in refused(capsys, monkeypatch, project)


def test_wrong_model(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be known at once is said at once, and nothing is made."""
    images = write_images(make_clip("walk", 3), tmp_path / "walk")
    assert "nope.pt: no such file" in refused(capsys, monkeypatch, images, "--checkpoint", tmp_path / "nope.pt")
    assert "there is no device 'gpu7'" in refused(capsys, monkeypatch, images, "--device", "gpu7")
    assert [path.name for path in tmp_path.iterdir()] == ["walk"]


def test_port_in_use(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path, frames=9)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} is in use" in refused(capsys, monkeypatch, project, "--port", port)


def test_read_only_folder(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    with mounted(tmp_path / "disk", "size=4m") as disk:
        project = make_project(disk, frames=9)
        os.system(f"mount -o remount,ro {disk}")
        assert "cannot be written; is its folder read-only?" in refused(capsys, monkeypatch, project)
        said = refused(capsys, monkeypatch, disk / "images")
        assert "Read-only file system; give another folder: --project FOLDER" in said


def options(*arguments: object) -> argparse.Namespace:
    return module.parser().parse_args(list(map(str, arguments)))


def test_recording_that_was_moved_is_remembered(tmp_path: Path) -> None:
    project = make_project(tmp_path / "here", frames=9)
    moved = tmp_path / "moved"
    shutil.move(tmp_path / "here/images", moved)
    folder, recording = opened_project(options(moved, "--project", project))
    assert (folder, recording.path) == (project, moved)
    folder, recording = opened_project(options(project))
    assert (folder, recording.path) == (project, moved)


def test_project_is_made_as_annotate_new_makes_it(tmp_path: Path) -> None:
    images = write_images(make_clip("walk", 9), tmp_path / "walk")
    folder, recording = opened_project(options(images, "--fps", 12, "--annotated-fps", 3))
    assert folder == tmp_path / "walk.annotation" and recording.fps == 12
    with Project(folder) as made:
        assert made.annotated_frames == [0, 4, 8]
    folder, recording = opened_project(options(images))
    assert recording.fps == 12, "it is that of the project"


def test_options_are_those_of_both_desks() -> None:
    options = module.parser().parse_args(["walk", "--project", "p", "--model", "default", "--annotator", "ben"])
    assert (options.recording, str(options.project), options.model, options.annotator) == (
        "walk",
        "p",
        "default",
        "ben",
    )
