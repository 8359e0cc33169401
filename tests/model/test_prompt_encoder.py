"""Prompts as tokens."""

import torch

from sam2_ros.model.prompt_encoder import PromptEncoder, no_points


def test_no_points_are_two_of_padding():
    encoder = PromptEncoder(32)
    assert torch.equal(encoder.points(*no_points(1, torch.zeros(1)), 64, 96), encoder.nothing())
