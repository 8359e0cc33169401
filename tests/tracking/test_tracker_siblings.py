"""Trackers of several streams with one network."""

import threading

import numpy as np

from sam2_ros.model import SAM2
from sam2_ros.tracking import Click, Prompt, Tracker

PROMPT = Prompt(clicks=(Click(30, 20),))


def follow(tracker: Tracker, images: list[np.ndarray]) -> list[np.ndarray]:
    masks = []
    for index, image in enumerate(images):
        frame = tracker.step(image)
        if index == 1:
            tracker.prompt(PROMPT)
        masks += [masklet.mask for masklet in frame.masklets]
    return masks


def test_siblings_in_threads_track_as_each_would_alone(model: SAM2, images: list[np.ndarray]) -> None:
    streams = [images[:12], images[12:24], images[24:36]]
    alone = [follow(Tracker(model), stream) for stream in streams]
    first = Tracker(model)
    trackers = [first, first.sibling(), first.sibling()]
    together: list[list[np.ndarray]] = [[], [], []]

    def run(i: int) -> None:
        together[i] = follow(trackers[i], streams[i])

    threads = [threading.Thread(target=run, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({id(tracker.network) for tracker in trackers}) == 1
    for ours, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_a_sibling_has_objects_of_its_own(model: SAM2, images: list[np.ndarray]) -> None:
    first = Tracker(model, max_objects=3)
    first.step(images[0])
    first.prompt(PROMPT)
    other = first.sibling()
    assert not other.objects and other.newest is None and not other.stamps
    assert other.max_objects == 3
    other.step(images[1])
    assert other.prompt(PROMPT).object_id == 1
    other.remove(1)
    assert list(first.objects) == [1]
