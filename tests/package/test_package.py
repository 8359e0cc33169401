"""The installed package: metadata, messages, executables, and use without ROS."""

import importlib.util
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from ament_index_python import get_package_prefix, get_package_share_directory
from catkin_pkg.package import parse_package

import sam2_ros
from sam2_ros.commands.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
INTERFACES = [*ROOT.glob("msg/*.msg"), *ROOT.glob("srv/*.srv")]


@pytest.fixture(autouse=True)
def this_environment_is_a_ros_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does what `source setup.bash` does on a robot, and the ROS wheels do not."""
    sourced = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join(filter(None, [*sourced, sys.prefix])))


def python(program: str) -> str:
    """Runs a program in a fresh interpreter and returns what it printed."""
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout.strip()


def test_package_xml_is_valid_and_gives_the_version() -> None:
    package = parse_package(str(ROOT / "package.xml"))
    package.validate()
    assert package.name == "sam2_ros"
    assert package.version == version("sam2_ros")


def test_environment_is_a_ros_prefix_with_the_package() -> None:
    share = Path(get_package_share_directory("sam2_ros"))
    assert (share / "package.xml").read_text() == (ROOT / "package.xml").read_text()
    for interface in INTERFACES:
        installed = share / interface.relative_to(ROOT)
        assert installed.read_text() == interface.read_text(), f"{interface.name} has changed: run make"
    for folder in ("launch", "config"):
        names = {file.name for file in (ROOT / folder).iterdir() if file.is_file()}
        assert names and names <= {file.name for file in (share / folder).iterdir()}


@pytest.mark.parametrize("interface", INTERFACES, ids=lambda path: path.name)
def test_interfaces_can_be_imported_and_document_each_field(interface: Path) -> None:
    module = importlib.import_module(f"sam2_ros.{interface.parent.name}")
    assert hasattr(module, interface.stem)
    lines = interface.read_text().splitlines()
    assert lines[0].startswith("# ")
    fields = [line for line in lines if line and not line.startswith(("#", "---"))]
    undocumented = [line for line in fields if "#" not in line and not re.match(r"Prompt prompt$", line)]
    assert not undocumented


def test_ros2_run_executables_start_existing_modules() -> None:
    executables = sorted(Path(get_package_prefix("sam2_ros"), "lib/sam2_ros").iterdir())
    assert {"camera", "sam2", "track"} <= {executable.name for executable in executables}
    for executable in executables:
        text = executable.read_text()
        assert f'run("{executable.name}", ' in text and os.access(executable, os.X_OK)
        module = COMMANDS[executable.name].module
        assert importlib.util.find_spec(module), module
        assert Path(text.splitlines()[0].removeprefix("#!")).exists()


def test_executables_are_commands() -> None:
    """All that need ROS, and those for recordings and pictures."""
    executables = re.findall(r"^install_executable\((\S+)\)", (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE)
    assert {*executables} == {
        "desk",
        "segment",
        "track",
        *(name for name, command in COMMANDS.items() if command.needs_ros),
    }


def test_public_names_exist() -> None:
    for name in sam2_ros.__all__:
        assert getattr(sam2_ros, name).__name__ == name
    assert set(sam2_ros.__all__) <= set(dir(sam2_ros))
    with pytest.raises(AttributeError, match="no attribute 'Trakcer'"):
        sam2_ros.Trakcer  # noqa: B018


@pytest.mark.slow
def test_import_is_light() -> None:
    program = (
        "import sys, sam2_ros, sam2_ros.msg; print([name for name in ('torch', 'rclpy', 'cv2') if name in sys.modules])"
    )
    assert python(program) == "[]"


@pytest.mark.slow
def test_package_works_without_ros_except_for_the_nodes() -> None:
    program = """
import importlib, pkgutil, sys
sys.modules["rclpy"] = None  # importing it fails
import sam2_ros
ROOMS = "system", "model", "acceleration", "checkpoints", "tracking", "data", "scenes", "evaluation", "training"
names = [
    module.name
    for part in ROOMS
    for module in pkgutil.walk_packages([f"{sam2_ros.__path__[0]}/{part}"], f"sam2_ros.{part}.")
    if not module.name.endswith("__main__")
]
for name in names:
    importlib.import_module(name)
print(len(names), all(hasattr(sam2_ros, name) for name in sam2_ros.__all__))
"""
    count, public = python(program).split()
    assert int(count) > 10
    assert public == "True"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "advice"),
    [
        ("rclpy", "source /opt/ros/<distribution>/setup.bash"),
        ("sam2_ros.msg", "pip install --force-reinstall --no-deps ."),
    ],
)
def test_node_without_ros_names_the_missing_package(missing: str, advice: str) -> None:
    program = f"""
import sys
sys.modules["{missing}"] = None
try:
    import sam2_ros.ros.node
except ImportError as error:
    print(error)
"""
    assert advice in python(program)
