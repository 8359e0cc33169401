"""Shared memory: a warning where it is small, as in a container, before images get lost."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import node_log
import pytest

from sam2_ros.ros.graph import fast_dds_profile
from sam2_ros.ros.node import Sam2Node
from sam2_ros.ros.shared_memory import DEFAULT_SEGMENT, MIB, segment_size, size_warning

OURS = {"FASTRTPS_DEFAULT_PROFILES_FILE": str(fast_dds_profile())}
FAST_DDS = "rmw_fastrtps_cpp"


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch):
    """Sets the size of the shared memory, and how much of it is free, MiB."""

    def set_memory(size: int, free: int | None = None) -> None:
        blocks = SimpleNamespace(f_frsize=4096, f_blocks=size * 256, f_bavail=(size if free is None else free) * 256)
        monkeypatch.setattr(os, "statvfs", lambda _: blocks)

    return set_memory


def test_docker_default_of_64_mb_warns_with_our_profile(memory) -> None:
    memory(64)
    warning = size_warning(FAST_DDS, environment=OURS)
    assert warning is not None and "64 MiB" in warning and "--shm-size=512m" in warning and "--ipc=host" in warning
    assert "32 MiB" in warning and "\n" not in warning


def test_little_free_memory_warns(memory) -> None:
    memory(1024, free=20)
    assert "20 of them free" in (size_warning(FAST_DDS, environment=OURS) or "")


@pytest.mark.parametrize(
    ("size", "middleware", "environment"),
    [
        (512, FAST_DDS, OURS),
        (64, FAST_DDS, {}),
        (64, "rmw_cyclonedds_cpp", OURS),
        (64, FAST_DDS, {**OURS, "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}),
    ],
    ids=["large", "without our profile", "another middleware", "no shared memory"],
)
def test_sufficient_memory_does_not_warn(memory, size: int, middleware: str, environment: dict[str, str]) -> None:
    memory(size)
    assert size_warning(middleware, environment=environment) is None


def test_missing_shared_memory_warns(tmp_path: Path) -> None:
    assert "--ipc=host" in (size_warning("rmw_fastrtps_dynamic_cpp", tmp_path / "none", OURS) or "")


@pytest.mark.parametrize(
    ("profile", "size"),
    [
        ("<profiles><transport_descriptor><type>UDPv4</type></transport_descriptor></profiles>", DEFAULT_SEGMENT),
        ("<p><useBuiltinTransports>false</useBuiltinTransports></p>", 0),
        ("<p><transport_descriptor><type> SHM </type></transport_descriptor></p>", DEFAULT_SEGMENT),
        ("<p><transport_descriptor><type>SHM</type><segment_size>7</segment_size></transport_descriptor></p>", 7),
        ("no XML", DEFAULT_SEGMENT),
    ],
)
def test_segment_size_is_that_of_the_profile(tmp_path: Path, profile: str, size: int) -> None:
    file = tmp_path / "profile.xml"
    file.write_text(profile)
    assert segment_size({"FASTDDS_DEFAULT_PROFILES_FILE": str(file)}) == size


def test_segment_size_of_our_profile() -> None:
    assert segment_size(OURS) == 32 * MIB


def test_node_warns_once_at_start(graph, memory, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    monkeypatch.setitem(os.environ, "FASTRTPS_DEFAULT_PROFILES_FILE", OURS["FASTRTPS_DEFAULT_PROFILES_FILE"])
    memory(64)
    graph.add(Sam2Node(context=graph.context))
    assert node_log.written().count("--shm-size=512m") == 1
