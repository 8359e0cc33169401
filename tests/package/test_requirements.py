"""The requirements of commands: checked before they start, and installed as the README says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sam2_ros.requirements import COMMANDS, PACKAGES

ROOT = Path(__file__).resolve().parents[2]
MODULES = {
    "camera": "sam2_ros.ros.camera",
    "demo": "sam2_ros.ros.demo.__main__",
    "prompt": "sam2_ros.ros.prompter",
    "record": "sam2_ros.ros.recorder",
    "sam2": "sam2_ros.ros.node",
    "deployment": "sam2_ros.deployment.__main__",
    "evaluation": "sam2_ros.evaluation.__main__",
    "training": "sam2_ros.training.__main__",
}
ROSDEP = {"PIL": "python3-pil", "cv2": "python3-opencv", "rich": "python3-rich"}  # system packages of a robot


def run(program: str, missing: list[str] | tuple[str, ...], *argv: str) -> subprocess.CompletedProcess:
    """Runs a program in a process without the `missing` packages."""
    hidden = f"import sys; sys.modules |= dict.fromkeys({[*missing]!r}); sys.argv[1:] = {[*argv]!r}\n"
    command = [sys.executable, "-c", hidden + program]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_command_imports_only_listed_requirements(command: str) -> None:
    others = [module for module in PACKAGES if module not in COMMANDS[command]]
    completed = run(f"import {MODULES[command]}", others)
    assert completed.returncode == 0, completed.stderr


@pytest.mark.parametrize("command", [command for command, modules in COMMANDS.items() if modules])
def test_missing_requirement_is_reported_in_one_line(command: str, tmp_path: Path) -> None:
    missing = COMMANDS[command][-2:]
    program = f"import os, runpy; os.chdir({str(tmp_path)!r})\n"
    program += f"runpy.run_module({MODULES[command].removesuffix('.__main__')!r}, run_name='__main__')"
    completed = run(program, missing)
    assert completed.returncode == 1 and completed.stderr.count("\n") == 1, completed.stderr
    assert completed.stderr.startswith(f"{command}: ") and f"{sys.executable} -m pip install " in completed.stderr
    assert all(PACKAGES[module] in completed.stderr for module in missing)
    assert not list(tmp_path.iterdir())


def test_ros2_run_checks_requirements() -> None:
    """Tests the executable that CMake generates for a module."""
    program = (ROOT / "cmake/node.py.in").read_text()
    program = program.replace("@executable@", "demo").replace("@module@", "demo.__main__")
    completed = run(program, ["av"])
    assert (completed.returncode, completed.stderr) == (
        1,
        f"demo: av is not installed: {sys.executable} -m pip install av\n",
    )


@pytest.mark.slow
def test_missing_bag_reader_is_reported_before_training(tmp_path: Path) -> None:
    (tmp_path / "drive.mcap").touch()
    program = "import runpy; runpy.run_module('sam2_ros.training', run_name='__main__')"
    completed = run(program, ["rosbags"], str(tmp_path / "run"), "--steps", "1", "--data", str(tmp_path / "drive.mcap"))
    assert completed.returncode == 2 and "Traceback" not in completed.stderr
    assert completed.stderr.splitlines()[-1].endswith(f"{sys.executable} -m pip install rosbags"), completed.stderr


def test_readme_and_package_xml_install_all_requirements() -> None:
    readme, package = (ROOT / "README.md").read_text(), (ROOT / "package.xml").read_text()
    installed = re.search(r"^pip install (.*?) *#", readme, re.MULTILINE)[1].replace("'", "").split()
    for command in ("camera", "demo", "record", "sam2", "evaluation", "training"):
        for module in {*COMMANDS[command]} - {"tomli"}:  # only on Python 3.10, where the command names it
            key = ROSDEP.get(module)
            is_installed = f"<exec_depend>{key}</exec_depend>" in package if key else PACKAGES[module] in installed
            assert is_installed, f"{command} needs {module}"


def test_pip_install_includes_all_requirements() -> None:
    project = (ROOT / "pyproject.toml").read_text().replace(" ", "")
    for module in {module for modules in COMMANDS.values() for module in modules}:
        assert re.search(rf'"{re.escape(PACKAGES[module])}[">,]', project), module
