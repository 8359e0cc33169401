"""`make desk`: camera, node and desk in one command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from desk_page import DeskPage

pytestmark = pytest.mark.slow

TIMEOUT = 60.0  # s


def descendants(pid: int) -> list[int]:
    """Processes that a process has started, and those that they have."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(grandchild for child in children for grandchild in descendants(child))]


def test_click_in_the_demo(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "sam2_ros", "desk", "--demo", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            address = next(found[1] for line in process.stdout if (found := re.match(r"desk: (http://\S+)", line)))
            with DeskPage(address) as page:
                page.wait("cameras", lambda event: bool(event["cameras"]))
                page.request("watch", cameras=["/sam2"], max_width=0)
                header, _ = page.picture(lambda header: header["masklets"] is not None)
                assert (header["height"], header["width"]) == (480, 640)
                prompt = {"clicks": [{"x": 320, "y": 400}], "label": "pot"}
                answer = page.request("prompt", camera="/sam2", stamp=header["stamp"], prompt=prompt)
                page.picture(lambda header: bool(header["masklets"]) and header["masklets"][0]["label"] == "pot")
                assert answer["object_id"] == 1
            started = descendants(process.pid)
            assert len(started) >= 2
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 0
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    assert not [*tmp_path.glob("tmp*/scene")]
