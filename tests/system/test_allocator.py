"""Freed memory is kept, in threads, too."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import ctypes, resource, sys, threading
import numpy as np
from sam2_ros.system.allocator import keep_freed_memory
if sys.argv[1] != "not" and not keep_freed_memory(eval(sys.argv[1])):
    sys.exit("not supported")
def images(count):
    for _ in range(count):
        blocks = [np.ones(megabytes << 20, np.uint8) for megabytes in (3, 3, 4, 2)]
def run():
    global faults
    images(10)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    images(100)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
thread = threading.Thread(target=run)
thread.start()
thread.join()
print(faults)
"""


@pytest.mark.slow  # two processes
@pytest.mark.skipif(sys.platform != "linux", reason="an option of glibc")
def test_blocks_of_an_image_are_taken_from_kept_memory() -> None:
    def faults(most: str) -> int:
        return int(subprocess.run([sys.executable, "-c", FAULTS, most], check=True, capture_output=True).stdout)

    anew = faults("not")
    assert anew > 10_000, "the pages of 12 MB are mapped anew for every image"
    assert faults("2**26") < anew / 100
