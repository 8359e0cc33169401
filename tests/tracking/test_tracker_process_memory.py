"""The memory of a process that tracks for a long time."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import os
from pathlib import Path
import numpy as np, torch
from sam2_ros.model import CONFIGS, SAM2
from sam2_ros.tracking.prompt import Click, Prompt
from sam2_ros.tracking.tracker import Tracker

torch.manual_seed(0)
model = SAM2(CONFIGS["default"]).eval()
torch.nn.init.constant_(model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias, 5.0)
images = np.random.default_rng(0).integers(0, 256, (8, 120, 160, 3), np.uint8)
tracker = Tracker(model)
for index in range(300):
    tracker.step(images[index % 8])
    if index % 90 == 0:
        tracker.prompt(Prompt(1, clicks=(Click(80, 60),)))
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    print(pages * os.sysconf("SC_PAGE_SIZE"))
"""


# glibc returns freed memory to the system, and keeps one heap: otherwise its reserve would move the number
# by as much as the test looks for.
STRICT = {"MALLOC_MMAP_THRESHOLD_": "32768", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}


def test_a_process_does_not_grow_after_frame_100():
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=os.environ | STRICT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    resident = [int(line) for line in done.stdout.split()]
    assert len(resident) == 300
    early, late = (sorted(part)[len(part) // 2] for part in (resident[100:150], resident[250:300]))
    # Kept for every frame, the memories alone would be 0.065 MB each, 10 MB; features of images 0.5 MB each, 80 MB.
    assert late - early < 6e6, f"{early / 1e6:.0f} MB around frame 125, {late / 1e6:.0f} MB around frame 275"
