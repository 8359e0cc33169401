"""A separate ROS graph: nodes as processes on one machine, started and ended together."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

MAX_PARTICIPANTS = 10
"""Number of participants of a domain whose ports are probed."""

SIGNAL_TIMEOUT = 8.0
"""Seconds for a process to end after each signal."""


def fast_dds_profile() -> Path:
    """The file that makes Fast DDS deliver large images. Raises FileNotFoundError."""
    source = Path(__file__).resolve().parents[2]
    installed = [Path(p, "share/sam2_ros") for p in (*os.environ.get("AMENT_PREFIX_PATH", "").split(":"), sys.prefix)]
    for folder in (source, *installed):
        if (profile := folder / "config/fastdds.xml").is_file():
            return profile
    raise FileNotFoundError(f"config/fastdds.xml is in none of {source}, {', '.join(map(str, installed))}")


def free_domain() -> int:
    """A ROS_DOMAIN_ID that is not in use on this machine. Raises OSError if all are."""
    for domain in random.sample(range(1, 102), 101):  # above 101, ports are in the ephemeral range
        # The port numbers of RTPS 9.6.1; participant IDs go on within a process, also from one domain to another.
        ports = [7400 + 250 * domain + 10 + 2 * participant for participant in range(MAX_PARTICIPANTS)]
        if all(map(_is_free, ports)):
            return domain
    raise OSError("every ROS domain of this machine is in use; end some ROS processes")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


class Graph:
    """Starts nodes as processes on an unused ROS domain, and ends them when the `with` block ends.

    A process that is to join the graph needs `environment` before it starts rclpy.

    Args:
        logs: folder for the output of the processes, one file each.
        domain: ROS_DOMAIN_ID, 0 .. 101; None: an unused one.
    """

    def __init__(self, logs: Path, domain: int | None = None) -> None:
        self.logs = logs
        self.domain = free_domain() if domain is None else domain
        self.environment = {
            "ROS_DOMAIN_ID": str(self.domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "FASTRTPS_DEFAULT_PROFILES_FILE": str(fast_dds_profile()),  # without it, large images get lost
            "FASTDDS_DEFAULT_PROFILES_FILE": str(fast_dds_profile()),  # its name from Kilted on
        }
        self.processes: dict[str, subprocess.Popen] = {}

    def start(self, name: str, module: str, *arguments: str) -> subprocess.Popen:
        """Starts `python -m module arguments` under a name."""
        self.logs.mkdir(parents=True, exist_ok=True)
        with open(self.logs / f"{name}.log", "wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env={**os.environ, **self.environment, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only this process, which ends the others in order
            )
        return self.processes[name]

    def end(self, name: str) -> int:
        """Ends a process with SIGINT, then SIGTERM, then SIGKILL. Returns its exit status."""
        process = self.processes[name]
        for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                process.send_signal(stop)
                try:
                    process.wait(SIGNAL_TIMEOUT)
                except subprocess.TimeoutExpired:
                    continue
        return process.wait()

    def last_lines(self, name: str, lines: int = 5) -> str:
        """The last lines that a process has printed."""
        printed = (self.logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return "\n".join(printed[-lines:])

    def __enter__(self) -> Graph:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self.processes.values():  # all before the first is awaited
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for name in self.processes:
            self.end(name)
