"""The model that a user names on the command line."""

from __future__ import annotations

import argparse
import warnings

import cv2
import torch

from sam2_ros.acceleration import Network
from sam2_ros.checkpoints.load import load_model
from sam2_ros.model.config import SAM2Config
from sam2_ros.model.sam2 import SAM2
from sam2_ros.system.threads import network_threads


def loaded_model(options: argparse.Namespace) -> SAM2 | Network:
    """Load the model of `--model`, `--checkpoint`, `--device`, `--size` and `--aspect`, and set this process's threads.

    Raises:
        CheckpointError, OSError, ValueError: it cannot be loaded; the message says what to do.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracker refuses such weights
        model = load_model(options.model, options.checkpoint, options.device, options.size, options.aspect, threads_of)
    torch.set_num_threads(threads_of(model.config))
    cv2.setNumThreads(threads_of(model.config))
    return model


def threads_of(config: SAM2Config) -> int:
    """As many threads as in the node: their number changes the last bits of predicted IoUs."""
    return network_threads(config.image_size, encode_ahead=False, kernels=False)
