"""The soak: what counts as growth, and a short run of two cameras."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from soak import SAMPLE_EVERY, SETTLED, Growth, is_flat, plot

SOAK = Path(__file__).parents[2] / "benchmarks/soak.py"


def samples(memory: np.ndarray, threads: int = 30, files: int = 25) -> list[dict[str, float]]:
    return [
        {"images": SAMPLE_EVERY * i, "memory, MB": float(value), "threads": threads, "open files": files}
        for i, value in enumerate(memory)
    ]


def noisy(images: int = 20_000) -> np.ndarray:
    """400 MB that are reached after 1,000 images, and up to 6 MB for objects that come and go."""
    count = images // SAMPLE_EVERY
    memory = 400 + np.random.default_rng(2).uniform(0, 6, count)
    memory[: SETTLED // SAMPLE_EVERY] -= np.linspace(200, 0, SETTLED // SAMPLE_EVERY)
    return memory


def test_objects_that_come_and_go_are_no_growth() -> None:
    assert is_flat(samples(noisy()))


def test_slow_leak_is_growth() -> None:
    memory = noisy()
    leaking = samples(memory + np.linspace(0, 30, len(memory)))
    assert not is_flat(leaking)
    growth = Growth.of(leaking, "memory, MB")
    assert growth is not None and growth.per_thousand == pytest.approx(1.5, abs=0.2)
    assert growth.grown == pytest.approx(28.5, abs=2) and growth.late == pytest.approx(14.2, abs=2)


def test_heap_that_reaches_its_size_late_is_no_leak() -> None:
    memory = noisy()
    memory[len(memory) // 4 :] += 15
    assert is_flat(samples(memory))
    memory[3 * len(memory) // 4 :] += 8
    assert not is_flat(samples(memory))


def test_files_that_stay_open_are_growth() -> None:
    open_files = samples(noisy())
    for sample in open_files[len(open_files) // 2 :]:
        sample["open files"] += 3
    assert not is_flat(open_files)


def test_plot_is_drawn(tmp_path: Path) -> None:
    plot(samples(noisy()), tmp_path / "soak.png")
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_two_cameras_for_200_images() -> None:
    completed = subprocess.run([sys.executable, SOAK, "--images", "200"], capture_output=True, text=True, timeout=600)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "of 2 cameras" in completed.stdout and "added" in completed.stdout
