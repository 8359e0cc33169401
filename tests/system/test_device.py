"""Devices by name."""

import pytest
import torch

from sam2_ros.checkpoints.load import load_model
from sam2_ros.system.device import device_of


def test_devices_that_are_here():
    assert device_of("cpu") == torch.device("cpu")
    assert device_of() == device_of("") == torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(("name", "said"), [("gpu", "no device 'gpu'; use cpu"), ("cuda:77", "cuda:77")])
def test_devices_that_are_not(name, said):
    with pytest.raises(ValueError, match=said):
        load_model(device=name)
