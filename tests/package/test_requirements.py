"""The requirements of commands: checked before they start, and installed as the README says."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

from sam2_ros.commands import main
from sam2_ros.requirements import COMMANDS, PACKAGES

ROOT = Path(__file__).resolve().parents[2]
MODULES = {name: command.module for name, command in main.COMMANDS.items()}
ROSDEP = {
    "PIL": "python3-pil",
    "cv2": "python3-opencv",
    "rich": "python3-rich",
    "scipy": "python3-scipy",
}  # system packages of a robot


HIDE = """
import sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in {missing} else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
sys.argv[1:] = {argv}
"""
"""Stands before a program, for which these packages are not installed then."""
SYSTEM = {"numpy": "python3-numpy", "yaml": "python3-yaml"}
"""rosdep's names of what every command may import."""
INDIRECT = {
    "ruamel": "rosbags",
    "zstandard": "mcap",
    "rcl_interfaces": "rclpy",
    "rosidl_parser": "rosidl_default_generators",
}
"""Packages that come with one that is declared."""
OPTIONAL = ("_typeshed", "mujoco", "triton")
"""Packages that are imported only where they are installed."""


def imported_outside_functions(tree: ast.AST) -> Iterator[str]:
    """Top-level names of the packages that a module imports when it is imported itself."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imported_outside_functions(node)


def not_installed_by(modules: tuple[str, ...]) -> list[str]:
    """Modules of all installed packages but ROS, NumPy, PyYAML, the given ones, and those that pip brings with them."""
    packages = packages_distributions()
    ros = {module for module, names in packages.items() if any(name.startswith("ros-") for name in names)}
    pending = [_normal(name) for module in (*modules, *SYSTEM) for name in packages[module]]
    installed: set[str] = {"sam2-ros"}
    while pending:
        if (name := pending.pop()) not in installed:
            installed.add(name)
            pending += _dependencies(name)
    return [
        module
        for module, names in packages.items()
        if module not in ros and not any(_normal(name) in installed for name in names)
    ]


def _dependencies(package: str) -> list[str]:
    try:
        needed = requires(package) or []
    except PackageNotFoundError:  # for another version of Python
        return []
    return [_normal(re.match(r"[\w.-]+", one)[0]) for one in needed if "extra ==" not in one]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def run(program: str, missing: list[str] | tuple[str, ...], *argv: str) -> subprocess.CompletedProcess:
    """Runs a program in a process without the `missing` packages."""
    command = [sys.executable, "-c", HIDE.format(missing={*missing}, argv=[*argv]) + program]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_command_imports_only_listed_requirements(command: str) -> None:
    others = not_installed_by(COMMANDS[command])
    completed = run(f"import {MODULES[command]}", others)
    assert completed.returncode == 0, completed.stderr


def test_every_import_outside_functions_is_declared() -> None:
    """What a module imports only in a function is missed only there, where its absence can be handled."""
    declared = re.findall(r"depend>([^<]*)<", (ROOT / "package.xml").read_text())
    known = {*sys.stdlib_module_names, "sam2_ros", *PACKAGES, *declared, *OPTIONAL}
    known |= {name for name, key in SYSTEM.items() if key in declared}
    known |= {name for name, owner in INDIRECT.items() if owner in known}
    missing = {
        file.relative_to(ROOT).as_posix(): unknown
        for file in (ROOT / "sam2_ros").rglob("*.py")
        if (unknown := {*imported_outside_functions(ast.parse(file.read_text()))} - known)
    }
    assert not missing


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


def test_every_command_is_listed() -> None:
    assert {*COMMANDS} == {*MODULES}


def test_ros2_run_checks_requirements() -> None:
    """Tests the executable that CMake generates for a command."""
    program = (ROOT / "cmake/executable.py.in").read_text().replace("@executable@", "demo")
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
    for command in ("camera", "demo", "record", "sam2", "evaluate", "segment", "track", "train"):
        for module in {*COMMANDS[command]} - {"tomli"}:  # only on Python 3.10, where the command names it
            key = ROSDEP.get(module)
            is_installed = f"<exec_depend>{key}</exec_depend>" in package if key else PACKAGES[module] in installed
            assert is_installed, f"{command} needs {module}"


def test_pip_install_includes_all_requirements() -> None:
    project = (ROOT / "pyproject.toml").read_text().replace(" ", "")
    for module in {module for modules in COMMANDS.values() for module in modules}:
        assert re.search(rf'"{re.escape(PACKAGES[module])}[">,]', project), module
