"""Freed memory is kept, in threads, too, and given back where memory is short."""

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


GIVEN_BACK = """
import sys
import numpy as np
from sam2_ros.system import allocator
if not allocator.keep_freed_memory():
    sys.exit(print(-1))
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 >> 20
allocator._SHORT = float(sys.argv[1])
blocks = [np.ones(8 << 20, np.uint8) for _ in range(40)]
last = np.ones(1 << 20, np.uint8)
blocks.clear()
allocator.give_back_if_short()
print(resident())
"""


@pytest.mark.slow  # two processes
def test_what_was_kept_is_given_back_only_if_memory_is_short() -> None:
    def resident(share: str) -> int:
        return int(subprocess.run([sys.executable, "-c", GIVEN_BACK, share], check=True, capture_output=True).stdout)

    kept = resident("0")
    if kept < 0:
        pytest.skip("an option of glibc")
    assert kept > 320
    assert resident("1.1") < kept - 300, "320 MB were freed"
