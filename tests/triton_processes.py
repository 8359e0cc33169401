"""Processes in which Triton interprets, or compiles for an absent GPU."""

import os
import subprocess
import sys


def python(code: str, *arguments: str, **environment: str) -> str:
    """Runs code in a process of its own: Triton decides when it is imported whether it interprets."""
    command = [sys.executable, "-c", code, *arguments]
    completed = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout
