"""Mistaken names of models are refused with a suggestion."""

from __future__ import annotations

import pytest

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import load_model


def test_unknown_name():
    with pytest.raises(CheckpointError, match=r"no model named 'sam3'.*sam2\.1_hiera_tiny"):
        load_model("sam3")


def test_names_and_files_confused_with_each_other(tmp_path):
    def message(name: str | None = None, checkpoint: str | None = None) -> str:
        with pytest.raises(CheckpointError) as error:
            load_model(name, checkpoint)
        return str(error.value)

    assert "no model named '/runs/best.pt'. Did you mean checkpoint='/runs/best.pt'?" in message("/runs/best.pt")
    assert "Did you mean checkpoint=" in message(str(tmp_path))
    assert "Did you mean 'sam2_hiera_tiny'?" in message("sam2_tiny")
    assert "Did you mean 'sam2.1_hiera_tiny'?" in message("facebook/sam2.1-hiera-tiny")
    for name in ("sam2.1_hiera_base_plus", "facebook/sam2.1-hiera-base-plus"):
        assert "Did you mean the model's name, 'sam2.1_hiera_base_plus'?" in message(checkpoint=name)
    assert "no such file. Download it first" in message(checkpoint="https://example.com/a.pt")
