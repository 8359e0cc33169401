"""Choosing among the decoder's masks."""

import torch

from sam2_ros.model.mask_decoder import is_stable


def test_stability():
    logits = torch.full((3, 4, 10), -1.0)
    logits[0, :, :5] = 1.0  # a clear edge
    logits[1, :, :5] = 1.0
    logits[1, 0, 0] = 0.0  # 1 of 20 cells is uncertain
    assert is_stable(logits).tolist() == [True, False, True]  # the last has nothing that could be uncertain
