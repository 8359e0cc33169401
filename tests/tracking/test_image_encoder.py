import gc
import threading
import weakref

import numpy as np
import pytest
import torch

from sam2_ros.acceleration import Network
from sam2_ros.model.sam2 import SAM2, ImageFeatures
from sam2_ros.tracking import pixels
from sam2_ros.tracking.image_encoder import ImageEncoder
from sam2_ros.tracking.tracker import Tracker


class Counted:
    """A network that notes the sizes of its batches, and fails on marked images or on batches."""

    def __init__(self, network: Network, max_batch: int = 100) -> None:
        self.network, self.config, self.device = network, network.config, network.device
        self.max_batch = max_batch
        self.batches: list[int] = []

    def encode_image(self, image: torch.Tensor) -> ImageFeatures:
        if len(image) > self.max_batch:
            raise torch.OutOfMemoryError("too large")
        self.batches.append(len(image))
        return self.network.encode_image(image)


def images_of(*sizes: tuple[int, int]) -> list[np.ndarray]:
    random = np.random.default_rng(3)
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def encoded_together(encoder: ImageEncoder, images: list[object]) -> list[object]:
    """Features or errors of images that all wait when the encoder's turn comes."""
    results: list[object] = [None] * len(images)

    def encode(i: int) -> None:
        try:
            results[i] = encoder.encode(images[i])
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=encode, args=(i,)) for i in range(len(images))]
    with encoder.turn:
        for thread in threads:
            thread.start()
        while len(encoder.turn._waiting) < len(images):
            pass
    for thread in threads:
        thread.join(60)
    return results


@pytest.fixture
def network(model: SAM2) -> Network:
    return Tracker(model).network


def test_waiting_images_are_one_batch_and_equal_to_single_ones(network: Network) -> None:
    images = images_of(*[(48, 64)] * 3)
    counted = Counted(network)
    together = encoded_together(ImageEncoder(counted, pixels), images)
    assert counted.batches == [3]
    alone = ImageEncoder(network, pixels)
    for image, encoded in zip(images, together, strict=True):
        expected = alone.encode(image).features
        assert (encoded.height, encoded.width) == image.shape[:2]
        for name, value in vars(encoded.features).items():
            torch.testing.assert_close(value, getattr(expected, name), rtol=1e-5, atol=1e-5)
            assert value.untyped_storage().nbytes() == value.nbytes  # no view that keeps the batch alive


def test_images_of_other_shapes_are_batches_of_their_own(network: Network) -> None:
    counted = Counted(network)
    results = encoded_together(ImageEncoder(counted, pixels), images_of((48, 64), (96, 64), (48, 64)))
    assert len({result.grid for result in results}) == len(counted.batches)
    assert sum(counted.batches) == 3


def test_a_wrong_image_disturbs_no_other(network: Network) -> None:
    good = images_of((48, 64), (48, 64))
    results = encoded_together(ImageEncoder(network, pixels), [good[0], good[1].astype(np.float32), good[1]])
    assert isinstance(results[1], ValueError) and "uint8" in str(results[1])
    assert all(result.height == 48 for result in (results[0], results[2]))


def test_what_a_failed_batch_has_computed_is_freed_before_the_next_try(network: Network) -> None:
    """Otherwise there is no memory for single images, either."""
    failed: list[weakref.ref] = []

    class Full(Counted):
        def encode_image(self, image: torch.Tensor) -> ImageFeatures:
            if len(image) > 1:
                computed = torch.zeros(8)
                failed.extend((weakref.ref(computed), weakref.ref(image)))
                raise torch.OutOfMemoryError("full")
            assert failed and not any(reference() is not None for reference in failed)
            return super().encode_image(image)

    results = encoded_together(ImageEncoder(Full(network), pixels), images_of(*[(48, 64)] * 2))
    assert [getattr(result, "width", result) for result in results] == [64, 64]


@pytest.mark.parametrize("number", [1, 2])
def test_an_image_that_failed_is_freed_with_its_error(network: Network, number: int) -> None:
    """And with it what the network has computed of it: otherwise there is no memory for the next image, either."""
    computed: list[weakref.ref] = []

    class Full(Counted):
        def encode_image(self, image: torch.Tensor) -> ImageFeatures:
            own = torch.zeros(8)
            computed.extend((weakref.ref(own), weakref.ref(image)))
            raise torch.OutOfMemoryError("full")

    gc.disable()
    try:
        encoder, images = ImageEncoder(Full(network), pixels), images_of(*[(48, 64)] * number)
        computed += map(weakref.ref, images)
        results = encoded_together(encoder, images)
        assert all(isinstance(result, torch.OutOfMemoryError) for result in results)
        results.clear()
        images.clear()
        assert len(computed) >= 3 and not any(reference() is not None for reference in computed)
    finally:
        gc.enable()


def test_without_memory_for_a_batch_images_are_encoded_one_by_one(network: Network) -> None:
    counted = Counted(network, max_batch=1)
    results = encoded_together(ImageEncoder(counted, pixels), images_of(*[(48, 64)] * 3))
    assert counted.batches == [1, 1, 1]
    assert all(result.width == 64 for result in results)
