"""The Docker image: its context has what the build needs. (That it builds can only be tried where Docker runs.)"""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()
COPIED = [source for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE) for source in line.split()]
"""Everything that goes into the image, relative to the repository."""


def is_in_context(path: str) -> bool:
    """Whether .dockerignore lets a file through: the last line that matches decides."""
    included = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and any(fnmatch.fnmatch(part, pattern) for part in _parents(path)):
            included = line.startswith("!")
    return included


def _parents(path: str) -> list[str]:
    return [path, *map(str, Path(path).parents)]


def test_everything_copied_exists_and_is_sent_to_docker() -> None:
    assert COPIED
    for source in COPIED:
        assert (ROOT / source).exists() and is_in_context(source), source
    assert is_in_context("sam2_ros/ros/node.py") and is_in_context("sam2_ros/weights/default.safetensors")
    assert not is_in_context(".venv/bin/python") and not is_in_context("tests/robot.py")


def test_everything_that_cmake_installs_is_copied() -> None:
    cmake = (ROOT / "CMakeLists.txt").read_text()
    named = {*re.findall(r"\b((?:msg|srv|cmake)/[\w.]+)", cmake), "sam2_ros", "package.xml", "LICENSE"}
    (installed,) = re.findall(r"install\(DIRECTORY ([a-z ]+) DESTINATION share", cmake)
    named |= {*installed.split()}
    assert {path for path in named if not {path, str(Path(path).parent)} & {*COPIED}} == set()


def test_pip_packages_are_those_of_the_readme() -> None:
    readme = re.search(r"^pip install (.*?) *#", (ROOT / "README.md").read_text(), re.MULTILINE)[1]
    installed = re.findall(r"pip install --no-cache-dir(?: --index-url \S+)? (.*?) *\\?$", DOCKERFILE, re.MULTILINE)

    def names(text: str) -> set[str]:
        return {re.split("[>=]", name.strip("'"))[0] for name in text.split()}

    assert names(" ".join(installed)) == names(readme) - {"tensorboard"}  # nobody trains in the container


def test_entry_point_runs_commands_with_our_profile(tmp_path: Path) -> None:
    entry = ROOT / "docker/entrypoint.sh"
    assert os.access(entry, os.X_OK)
    for setup in ("opt/ros/jazzy/setup.bash", "ws/install/setup.bash"):
        (tmp_path / setup).parent.mkdir(parents=True)
        (tmp_path / setup).write_text("")
    script = tmp_path / "entrypoint.sh"
    script.write_text(re.sub(r'(?<=source )("?)(?=/)', rf"\1{tmp_path}", entry.read_text()))
    environment = {"PATH": os.environ["PATH"], "ROS_DISTRO": "jazzy"}
    command = ["bash", script, "printenv", "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"]
    ours = "/ws/install/sam2_ros/share/sam2_ros/config/fastdds.xml"
    assert subprocess.run(command, env=environment, capture_output=True, text=True).stdout.split() == [ours, ours]
    mine = environment | {"FASTRTPS_DEFAULT_PROFILES_FILE": "/mine.xml"}
    printed = subprocess.run(command, env=mine, capture_output=True, text=True).stdout.split()
    assert printed == ["/mine.xml", "/mine.xml"]
    assert "share/sam2_ros/config/fastdds.xml" in ours and (ROOT / "config/fastdds.xml").is_file()


@pytest.mark.parametrize("argument", ["BASE", "TORCH", "UID"])
def test_build_arguments_are_documented(argument: str) -> None:
    assert re.search(rf"^ARG {argument}=", DOCKERFILE, re.MULTILINE)
    assert f"`{argument}`" in (ROOT / "docs/docker.md").read_text()
