"""Start and end of the executables: in every state, on every signal, without a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import sam2_ros

pytestmark = pytest.mark.slow

TIMEOUT = 60.0  # s; only failures take so long
MODULES = {
    "camera": ["--ros-args", "-p", "source:=VIDEO"],
    "node": ["--ros-args", "-p", "autostart:=false"],
    "prompter": ["--click", "1,1"],
    "recorder": ["-o", "BAG", "/text"],
}

# Put before an executable's own code: when a module is imported, the process gets a signal.
WHILE_IMPORTING = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("SIGNAL_AT"):
            del os.environ["SIGNAL_AT"]
            print("signal sent", flush=True)
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
sys.meta_path.insert(0, Finder())
"""

# The same when a function is called.
WHILE_CALLING = """
import importlib, os, sys, time
module, function = sys.argv.pop(1), sys.argv.pop(1)
executable = importlib.import_module(f"sam2_ros.ros.{module}")
owner, name = function.rsplit(".", 1)
owner = eval(owner, vars(executable))
original = getattr(owner, name)
def signalled(*arguments, **named):
    print("signal sent", flush=True)
    os.kill(os.getpid(), int(os.environ["SIGNAL"]))
    if os.environ.get("HANG"):
        time.sleep(600)
    return original(*arguments, **named)
setattr(owner, name, signalled)
sys.exit(executable.main())
"""


def arguments(module: str, folder: Path) -> list[str]:
    (folder / "0.png").write_bytes(b"")
    words = {"BAG": str(folder / "bag"), "source:=VIDEO": f"source:={folder}"}
    return [words.get(word, word) for word in MODULES[module]]


def run(command: list[str], kind: signal.Signals, **environment: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "SIGNAL": str(int(kind)), **environment}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, timeout=TIMEOUT)


def check(completed: subprocess.CompletedProcess, *statuses: int) -> None:
    assert "signal sent" in completed.stdout
    assert "Traceback" not in completed.stderr and "Error" not in completed.stderr, completed.stderr
    assert completed.returncode in statuses, (completed.returncode, completed.stderr)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM], ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("camera", "rclpy"),
        ("camera", "cv2"),
        ("node", "torch"),
        ("prompter", "rclpy"),
        ("recorder", "rosbags"),
        ("recorder", "zstandard"),
        ("demo", "rich"),
    ],
)
def test_signal_while_importing(tmp_path: Path, module: str, imported: str, kind: signal.Signals) -> None:
    (tmp_path / "sitecustomize.py").write_text(WHILE_IMPORTING)
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    completed = run(["-m", f"sam2_ros.ros.{module}"], kind, SIGNAL_AT=imported, PYTHONPATH=path)
    check(completed, -kind)
    assert completed.stderr == ""


def test_signal_while_ros2_run_is_importing(tmp_path: Path) -> None:
    template = Path(sam2_ros.__file__).parents[1] / "cmake/executable.py.in"
    script = tmp_path / "record"
    script.write_text(template.read_text().replace("@executable@", "record"))
    (tmp_path / "sitecustomize.py").write_text(WHILE_IMPORTING)
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    completed = run([str(script)], signal.SIGINT, SIGNAL_AT="zstandard", PYTHONPATH=path)
    check(completed, -signal.SIGINT)
    assert completed.stderr == ""


@pytest.mark.parametrize(
    ("module", "function", "kind"),
    [
        ("camera", "process.rclpy.init", signal.SIGINT),
        ("camera", "CameraNode.__init__", signal.SIGTERM),
        ("camera", "CameraNode._publisher", signal.SIGINT),
        ("camera", "rclpy.spin_until_future_complete", signal.SIGINT),
        ("node", "Sam2Node.__init__", signal.SIGINT),
        ("node", "TrackedCamera.__init__", signal.SIGTERM),
        ("node", "Executor.spin", signal.SIGINT),
        ("prompter", "Prompter.__init__", signal.SIGTERM),
        ("prompter", "Prompter.connect", signal.SIGINT),
        ("recorder", "process.rclpy.init", signal.SIGTERM),
        ("recorder", "Node.__init__", signal.SIGTERM),
        ("recorder", "Recorder.create_timer", signal.SIGINT),
        ("recorder", "BagWriter.__init__", signal.SIGTERM),
        ("recorder", "BagWriter.close", signal.SIGINT),
        ("recorder", "rclpy.spin", signal.SIGHUP),
    ],
)
def test_signal_while_starting_and_ending(
    ros_domain: int, tmp_path: Path, module: str, function: str, kind: signal.Signals
) -> None:
    code = "import rclpy\nrclpy.spin = lambda node: None\n" if function == "BagWriter.close" else ""
    completed = run(["-c", code + WHILE_CALLING, module, function, *arguments(module, tmp_path)], kind)
    check(completed, 130 if module == "prompter" else 0)
    folder = tmp_path / "bag"
    assert not folder.exists() or (folder / "metadata.yaml").is_file(), "there is no half of a bag"


@pytest.mark.parametrize(
    ("module", "function", "kind"),
    [
        ("node", "Sam2Node._load", signal.SIGINT),  # builds kernels, for instance
        ("node", "Sam2Node.destroy_node", signal.SIGTERM),  # waits for the step of a large network
        ("camera", "Source.__init__", signal.SIGINT),  # looks for an RTSP camera
    ],
)
def test_hanging_work_does_not_keep_a_node_from_ending(
    ros_domain: int, tmp_path: Path, module: str, function: str, kind: signal.Signals
) -> None:
    code = "import rclpy.executors as e\ne.MultiThreadedExecutor.spin = lambda self: rclpy.shutdown()\n"
    code = f"import rclpy\n{code}" if function == "Sam2Node.destroy_node" else ""
    words = [] if module == "node" else arguments(module, tmp_path)
    check(run(["-c", code + WHILE_CALLING, module, function, *words], kind, HANG="yes"), 0)  # else it hangs for minutes


def test_node_ends_in_each_of_its_states(ros_domain: int, checkpoint: Path) -> None:
    for function in ("on_configure", "on_activate", "on_deactivate"):
        code = (
            "from sam2_ros.ros.node import Sam2Node\n"
            "start = Sam2Node._start\n"
            "def whole_life(self):\n"
            "    start(self)\n"
            "    if self.context.ok():\n"
            "        self.trigger_deactivate()\n"
            "Sam2Node._start = whole_life\n"
        )
        parameters = ["--ros-args", "-p", f"checkpoint:={checkpoint}"]
        completed = run(["-c", code + WHILE_CALLING, "node", f"Sam2Node.{function}", *parameters], signal.SIGTERM)
        check(completed, 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("source: clip.mp4\n", "`source: clip.mp4` stands outside of ros__parameters; the form is"),
        ("camera:\n  source: clip.mp4\n", "`source: clip.mp4` stands outside of ros__parameters"),
        ("camera:\n  ros_parameters:\n    source: clip.mp4\n", "`ros_parameters` must be ros__parameters"),
        ("camera:\n  ros__parameters:\n    source: [1\n", "line 4: is not YAML"),
        ("camera:\n\tros__parameters: {}\n", "line 2: is not YAML"),
        ("- camera\n", "holds no parameters; the form is"),
        ("camera:\n  ros__parameters:\n    rate: [1, a]\n", "Sequence should be of same type"),
        (None, "there is no such file"),
    ],
)
def test_invalid_parameter_file_error_names_the_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, reason: str
) -> None:
    from sam2_ros.ros.process import own_arguments

    file = tmp_path / "my.yaml"
    if content is not None:
        file.write_text(content)
    monkeypatch.setattr(sys, "argv", ["camera", "--ros-args", "--params-file", str(file)])
    with pytest.raises(SystemExit) as ended:
        own_arguments("camera")
    message = str(ended.value)
    assert message.startswith("camera: ") and str(file) in message and reason in message, message
    assert "\n" not in message and "/src/" not in message


def test_invalid_ros_arguments_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from sam2_ros.ros.process import own_arguments

    monkeypatch.setattr(sys, "argv", ["camera", "--ros-args", "-r", "a:=1b"])
    with pytest.raises(SystemExit, match=r"camera: .*remap rule: '-r a:=1b'$"):
        own_arguments("camera")


def test_invalid_parameter_file_prints_one_line(tmp_path: Path) -> None:
    file = tmp_path / "flat.yaml"
    file.write_text("model: default\n")
    for module in MODULES:
        command = [sys.executable, "-m", f"sam2_ros.ros.{module}", "--ros-args", "--params-file", str(file)]
        completed = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
        assert completed.returncode == 1
        assert len(completed.stderr.splitlines()) == 1 and "`model: default` stands outside" in completed.stderr, (
            completed.stderr
        )


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"HOME": "/proc"}, "set HOME, or ROS_LOG_DIR, to a folder that may be written"),
        ({"ROS_DOMAIN_ID": "9999"}, "ROS_DOMAIN_ID is 9999; it must be at most 232"),
        ({"ROS_DOMAIN_ID": "front"}, "ROS_DOMAIN_ID is 'front'; it must be a number from 0 to 232"),
    ],
)
def test_unusable_environment_is_one_line_with_the_remedy(environment: dict[str, str], text: str) -> None:
    command = [sys.executable, "-m", "sam2_ros.ros.prompter", "--click", "1,1"]
    environment = {**os.environ, "ROS_LOG_DIR": "", "ROS_HOME": "", **environment}
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert completed.returncode == 1
    assert completed.stderr.startswith("prompt") and text in completed.stderr, completed.stderr
    assert len(completed.stderr.splitlines()) == 1
