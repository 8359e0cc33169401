"""The desk as a process: on a robot without cameras, and its errors."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from desk_page import DeskPage

TIMEOUT = 60.0  # s


class Process:
    """`python -m sam2_ros desk ...`"""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-u", "-m", "sam2_ros", "desk", *arguments]
        self.child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def address(self) -> str:
        """Waits until pages can be opened."""
        assert self.child.stdout is not None
        for line in self.child.stdout:
            if found := re.search(r"^desk: (http://\S+)", line):
                return found[1]
        raise AssertionError(f"it has ended: {self.child.communicate()[1]}")

    def end(self, kind: int = signal.SIGINT) -> tuple[int, str]:
        """Exit status, and what was written as errors."""
        self.child.send_signal(kind)
        errors = self.child.communicate(timeout=TIMEOUT)[1]
        return self.child.returncode, errors


@pytest.fixture
def run(ros_domain: int) -> Iterator[Callable[..., Process]]:
    """Starts the desk with these arguments."""
    started: list[Process] = []

    def start(*arguments: str) -> Process:
        started.append(Process(*arguments))
        return started[-1]

    yield start
    for process in started:
        if process.child.poll() is None:
            process.child.kill()
            process.child.communicate()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_a_signal(run: Callable[..., Process], kind: int) -> None:
    desk = run("--port", "0", "--ros-args", "-p", "jpeg_quality:=60")
    with DeskPage(desk.address()) as page:
        assert page.hello["mode"] == "live" and page.wait("cameras")["cameras"] == []
        status, errors = desk.end(kind)
    assert (status, errors) == (0, "")


def test_other_machines_need_the_token(run: Callable[..., Process], tmp_path: Path) -> None:
    file = tmp_path / "token"
    arguments = ("--host", "0.0.0.0", "--port", "0", "--ros-args", "-p", f"token_file:={file}")
    tokens = set()
    for _ in range(2):
        process = run(*arguments)
        found = re.fullmatch(r"http://[\d.]+:\d+/\?token=([\w-]{40,})", process.address())
        assert found is not None
        tokens.add(found[1])
        process.end()
    assert tokens == {file.read_text().strip()}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--ros-args", "-p", "port:=70000"), "desk: port is 70000; it must be a whole number from 0 to 65535"),
        (("--ros-args", "-p", "picture_transport:=theora"), "desk: picture_transport is 'theora'; it must be one of"),
        (("--host", "192.0.2.7"), "desk: 192.0.2.7 is no address of this machine"),
    ],
)
def test_errors_are_one_line(run: Callable[..., Process], arguments: tuple[str, ...], reason: str) -> None:
    output, errors = run(*arguments).child.communicate(timeout=TIMEOUT)
    assert output == "" and errors.startswith(reason) and errors.count("\n") == 1


def test_port_in_use(run: Callable[..., Process]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        process = run("--port", str(other.getsockname()[1]))
        _, errors = process.child.communicate(timeout=TIMEOUT)
    assert process.child.returncode == 1
    assert re.fullmatch(r"desk: port \d+ is in use, .*\n", errors)
