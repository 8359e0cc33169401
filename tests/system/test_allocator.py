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
    sys.exit(print(-1))
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
def test_blocks_of_an_image_are_taken_from_kept_memory() -> None:
    def faults(most: str) -> int:
        return int(subprocess.run([sys.executable, "-c", FAULTS, most], check=True, capture_output=True).stdout)

    kept = faults("2**26")
    if kept < 0:
        pytest.skip("an option of glibc")
    anew = faults("not")
    assert anew > 10_000, "the pages of 12 MB are mapped anew for every image"
    assert kept < anew / 100


RESIDENT = """
import sys, threading
import numpy as np
from sam2_ros.system.allocator import keep_freed_memory, limit_heaps
keep_freed_memory(2**26)
if sys.argv[1] != "not" and not limit_heaps(int(sys.argv[1])):
    sys.exit(print(-1))
together = threading.Barrier(16)
def image():
    together.wait()
    block = np.ones(28 << 20, np.uint8)
    together.wait()
threads = [threading.Thread(target=image) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(int(open("/proc/self/statm").read().split()[1]) * 4096 >> 20)
"""


@pytest.mark.slow  # two processes
def test_many_threads_do_not_keep_a_heap_each() -> None:
    def resident(heaps: str) -> int:
        return int(subprocess.run([sys.executable, "-c", RESIDENT, heaps], check=True, capture_output=True).stdout)

    assert resident("2") < resident("not") - 200, "of 450 MB, two heaps keep at most 128"
