"""A network and a clip small enough to train in a test."""

import cv2
import numpy as np
import torch

from sam2_ros.model.config import CONFIGS, HieraConfig, SAM2Config
from sam2_ros.model.sam2 import SAM2
from sam2_ros.training.augmentation import NONE
from sam2_ros.training.samples import Batch, sample
from sam2_ros.training.start import attend_to_click, attend_to_same_position

TINY = SAM2Config(
    "test",
    HieraConfig(16, 1, (1, 1, 1, 1), (2, 3), windows=(8, 8, 8, 8), position_grid=(8, 8), drop_path=0.0),
    image_size=64,
    dim=64,
    memory_dim=16,
    memory_layers=1,
    feedforward=128,
    decoder_heads=2,
    iou_head_dim=32,
    dropout=0.0,
)


def network(config: SAM2Config = TINY) -> SAM2:
    torch.manual_seed(0)
    model = SAM2(config)
    attend_to_same_position(model)
    attend_to_click(model)
    return model


def default_network() -> SAM2:
    """The default network at 64 pixels, untrained; objects are always present."""
    torch.manual_seed(0)
    model = SAM2(CONFIGS["default"].at(64)).eval()
    torch.nn.init.constant_(model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias, 5.0)
    return model


def moving_things(frames: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """An ellipse that goes behind a rectangle: uint8 [T, 64, 64, 3] and bool [T, 2, 64, 64]."""
    rng = np.random.default_rng(0)
    background = cv2.resize(rng.integers(0, 255, (8, 8, 3), np.uint8), (64, 64), interpolation=cv2.INTER_CUBIC)
    images, masks = [], []
    for t in range(frames):
        here = np.zeros((2, 64, 64), np.uint8)
        cv2.ellipse(here[0], (20 + 4 * t, 22 + t), (15, 18), 0, 0, 360, 1, -1)
        cv2.rectangle(here[1], (36 - t, 34), (60 - t, 60), 1, -1)
        here[0] &= 1 - here[1]
        image = background.copy()
        image[here[0] > 0], image[here[1] > 0] = (220, 60, 40), (40, 80, 220)
        images.append(image)
        masks.append(here > 0)
    return np.stack(images), np.stack(masks)


def clip(frames: int = 3) -> Batch:
    return sample(*moving_things(frames), objects=2, changes=NONE, rng=np.random.default_rng(0))
