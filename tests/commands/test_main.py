"""The `sam2_ros` command: its commands, their helps, and how it starts them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from sam2_ros.command_line import unknown
from sam2_ros.commands import main as module
from sam2_ros.commands.main import COMMANDS, help_of, main, run

SCREEN = 45
"""Lines of a terminal window."""
MARKER = "ament_index/resource_index/packages/sam2_ros"
"""The file by which ROS knows that a package is installed."""
HEAVY = ("torch", "numpy", "cv2", "rclpy", "rich", "PIL")


def sam2_ros(*arguments: str, program: str = "") -> subprocess.CompletedProcess:
    """Runs `python -m sam2_ros`, or a program in its place, on a screen of 100 columns."""
    command = [sys.executable, *(["-c", program] if program else ["-m", "sam2_ros"]), *arguments]
    environment = {**os.environ, "COLUMNS": "100"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """What each command prints for `--help`, all in one process."""
    program = """
import contextlib, io, json, sys
from sam2_ros.commands.main import COMMANDS, run
helps = {}
for name in COMMANDS:
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        run(name, "sam2_ros", ["--help"])
    helps[name] = printed.getvalue()
print(json.dumps(helps))
"""
    completed = sam2_ros(program=program)
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """`sys.argv` of every command that was started; none is run."""
    argv: list[list[str]] = []

    def start() -> int:
        argv.append(sys.argv)
        return 7

    monkeypatch.setattr(module, "import_module", lambda _: SimpleNamespace(main=start))
    return argv


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    program = "import sys\nfrom sam2_ros.commands.main import main\nstatus = main()\n"
    program += f"print([name for name in {HEAVY!r} if name in sys.modules])\nsys.exit(status)"
    completed = sam2_ros("--help", program=program)
    *lines, heavy = completed.stdout.splitlines()
    assert (completed.returncode, heavy, completed.stderr) == (0, "[]", "")
    assert len(lines) <= SCREEN and max(map(len, lines)) <= 100
    assert [line.split()[0] for line in lines if line[:2] == "  " and "sam2_ros" not in line] == [*COMMANDS]
    examples = [line.split() for line in lines if line.startswith("  sam2_ros ")]
    assert len(examples) == 3 and all(words[1] in COMMANDS for words in examples)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_fits_one_screen_and_has_examples(helps: dict[str, str], name: str) -> None:
    lines = helps[name].splitlines()
    assert len(lines) <= SCREEN, len(lines)
    assert lines[0].startswith(f"usage: sam2_ros {name} ")
    examples = lines[lines.index("examples:") + 1 :]
    assert examples and examples[0].startswith(f"  sam2_ros {name}")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_help_all_shows_more(name: str) -> None:
    options = [{*re.findall(r"--[\w-]+", sam2_ros(name, given).stdout)} for given in ("--help", "--help-all")]
    assert options[0] < options[1] and "--mask-values" in options[1] - options[0]


@pytest.mark.slow
def test_help_of_a_module_shows_how_it_was_started() -> None:
    command = [sys.executable, "-m", "sam2_ros.data.recovery", "--help"]
    help = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    assert help.startswith("usage: python -m sam2_ros.data.recovery ")


def test_command_is_started_with_its_arguments(monkeypatch: pytest.MonkeyPatch, started: list[list[str]]) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/sam2_ros", "evaluate", "--suite"])
    assert main() == 7
    monkeypatch.setattr(sys, "argv", ["/usr/bin/sam2_ros", "help", "evaluate"])
    assert main() == 7
    monkeypatch.setattr(sys, "argv", ["/robot/lib/sam2_ros/segment", "photos"])
    assert run("segment", "ros2 run sam2_ros") == 7
    assert started == [
        ["sam2_ros evaluate", "--suite"],
        ["sam2_ros evaluate", "--help"],
        ["ros2 run sam2_ros segment", "photos"],
    ]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["help"], ["-h"]])
def test_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["sam2_ros", *arguments])
    assert main() == (0 if arguments else 2)
    assert capsys.readouterr().out == help_of("sam2_ros")


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Both where pip installed the package, and in a colcon workspace."""
    version = re.search(r"<version>(.*)</version>", (Path(__file__).parents[2] / "package.xml").read_text())[1]
    monkeypatch.setattr(sys, "argv", ["sam2_ros", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == f"sam2_ros {version}\n"


def test_version_in_a_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    share = tmp_path / "share"
    for file, text in (("sam2_ros/package.xml", "<package><version>3.4.5</version></package>"), (MARKER, "")):
        (share / file).parent.mkdir(parents=True)
        (share / file).write_text(text)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.setattr(metadata, "version", not_installed)
    assert module.version() == "3.4.5"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("evalute", "there is no command 'evalute'; do you mean `sam2_ros evaluate`?"),
        ("training", "there is no command 'training'; do you mean `sam2_ros train`?"),
        ("xyz", "there is no command 'xyz'; `sam2_ros --help` lists them"),
    ],
)
def test_unknown_command_is_answered_with_the_nearest(name: str, said: str) -> None:
    assert unknown("command", name, COMMANDS, "sam2_ros") == said


def test_unknown_command_fails() -> None:
    completed = sam2_ros("trakc", "clip.mp4")
    assert completed.returncode == 2 and completed.stdout == ""
    assert completed.stderr == (
        "python -m sam2_ros: there is no command 'trakc'; do you mean `python -m sam2_ros track`?\n"
    )


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.needs_ros])
def test_command_without_ros_says_so_in_one_line(name: str) -> None:
    program = "import sys\nsys.modules['rclpy'] = None\nfrom sam2_ros.commands.main import main\nsys.exit(main())"
    completed = sam2_ros(name, program=program)
    assert completed.returncode == 1 and completed.stderr.count("\n") == 1
    assert completed.stderr.startswith(f"{name}: ") and "source /opt/ros/<distribution>/setup.bash" in completed.stderr


def test_ctrl_c_ends_a_command_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "import_module", lambda _: SimpleNamespace(main=interrupted))
    monkeypatch.setattr(sys, "argv", ["sam2_ros", "evaluate"])
    assert main() == 130
    assert capsys.readouterr().err == "evaluate: interrupted\n"


def test_help_whose_reader_has_seen_enough() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run([sys.executable, "-m", "sam2_ros", "--help"], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.slow
def test_output_that_knows_few_letters(tmp_path: Path) -> None:
    """What cannot be written is escaped; the results are there."""
    Image.new("RGB", (32, 32), "red").save(tmp_path / "bild.png")
    command = [sys.executable, "-m", "sam2_ros", "track", "bild.png", "--click", "9,9", "--label", "Käfer"]
    command += ["--size", "128", "--device", "cpu", "--out", "ergebnis-ü"]
    for encoding in ("ascii", "utf-8:strict"):
        result = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "50"},
            capture_output=True,
        )
        assert (result.returncode, result.stderr) == (0, b"")
        assert "Käfer".encode("ascii" if encoding == "ascii" else "utf-8", "backslashreplace") in result.stdout
        assert "…".encode() not in result.stdout
