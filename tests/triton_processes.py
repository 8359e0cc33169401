"""Processes in which Triton interprets kernels, or compiles them for a GPU that need not be present."""

import os
import subprocess
import sys


def python(code: str, *arguments: str, **environment: str) -> str:
    """Run code in a new process: Triton chooses the interpreter at import."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
