"""One process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from sam2_ros.recordings.sole_use import sole_use

OTHER = """
import sys
from pathlib import Path
from sam2_ros.recordings.sole_use import sole_use
with sole_use(Path(sys.argv[1])):
    print("has it", flush=True)
    sys.stdin.read()
"""


def test_other_process_keeps_it_until_it_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OTHER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "has it\n"
            with pytest.raises(OSError, match="another process is working on it"), sole_use(tmp_path):
                pass
        finally:
            other.kill()
    for _ in range(2):
        with sole_use(tmp_path):
            pass
    assert not list(tmp_path.iterdir())


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), sole_use(tmp_path / "gone"):
        pass
