"""Devices by name."""

import pytest
import torch

from sam2_ros.checkpoints.load import load_model
from sam2_ros.system.device import device_of


def test_available_devices():
    assert device_of("cpu") == torch.device("cpu")
    assert device_of() == device_of("") == torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(("name", "message"), [("gpu", "no device 'gpu'; use cpu"), ("cuda:77", "cuda:77")])
def test_missing_devices_are_rejected(name, message):
    with pytest.raises(ValueError, match=message):
        load_model(device=name)
