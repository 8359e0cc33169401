"""CPU threads of the network."""

import pytest

from sam2_ros.system.threads import network_threads


@pytest.mark.parametrize(
    ("cores", "image_size", "ahead", "kernels", "threads"),
    [
        (1, 320, True, False, 1),
        (2, 320, True, False, 1),
        (2, 320, True, True, 2),
        (8, 512, True, False, 4),
        (8, 512, True, True, 7),
        (2, 320, False, False, 2),
        (2, 1024, True, False, 2),
        (8, 1024, True, True, 7),
    ],
)
def test_network_threads(monkeypatch, cores, image_size, ahead, kernels, threads):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    assert network_threads(image_size, ahead, kernels) == threads
