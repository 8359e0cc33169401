"""Windows of the image encoder."""

import pytest
import torch

from sam2_ros.model.hiera import from_windows, to_windows


@pytest.mark.parametrize("side", [14, 15, 7])
def test_windows_round_trip(side):
    x = torch.randn(2, 14, 15, 3)
    windows = to_windows(x, side)
    assert windows.shape[1:3] == (side, side)
    assert torch.equal(from_windows(windows, 14, 15), x)
