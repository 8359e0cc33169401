"""Devices by name."""

import pytest
import torch

from sam2_ros.model.checkpoint import load_model
from sam2_ros.model.device import device_of


def test_devices_that_are_here():
    assert device_of("cpu") == torch.device("cpu")
    assert device_of() == device_of("") == torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(("name", "said"), [("gpu", "no device 'gpu'; use cpu"), ("cuda:77", "cuda:77")])
def test_devices_that_are_not(name, said):
    with pytest.raises(ValueError, match=said):
        load_model(device=name)


def test_others_may_read_the_weights(tmp_path):
    """A node may run as somebody else than the training did."""
    from sam2_ros.model.checkpoint import save_weights

    save_weights(load_model(device="cpu"), tmp_path / "weights.safetensors")
    (tmp_path / "plain").touch()
    assert (tmp_path / "weights.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode
