"""Between images as cameras deliver them and the tensors that the network sees."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.prompt_encoder import PointLabel
from sam2_ros.tracking.prompt import Box, Click

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def to_network(image: np.ndarray, config: SAM2Config, device: torch.device) -> Tensor:
    """Resize an image to what the network wants to see (`SAM2Config.shape`), and normalise it.

    Bilinear with antialiasing, as the reference's image predictor does. On a CPU the resize works on bytes, which is
    several times as fast and rounds to 1 / 255; on a GPU it works on floats.

    Args:
        image: uint8 [H, W, 3], RGB.

    Returns:
        float32 [1, 3, h, w].

    Raises:
        ValueError: the image is of another type or shape.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"expected an RGB image, uint8 [H, W, 3], got {image.dtype} {list(image.shape)}")
    pixels = torch.from_numpy(np.require(image, requirements="CW")).to(device).permute(2, 0, 1)[None]
    if device.type != "cpu":
        pixels = pixels.float()
    shape = config.shape(*image.shape[:2])
    return normalised(F.interpolate(pixels, shape, mode="bilinear", antialias=True))


def normalised(pixels: Tensor) -> Tensor:
    """Colours as the network wants them: 0 .. 255, of any type, [..., 3, h, w] -> float32, about -2 .. 3."""
    mean, std = (torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in (_MEAN, _STD))
    return (pixels / 255 - mean) / std


def to_points(
    box: Box | None,
    clicks: tuple[Click, ...],
    size: tuple[int, int],
    shape: tuple[int, int],
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Box and clicks as labelled points of the network's input: [1, P, 2] and int64 [1, P].

    Args:
        size: height and width of the image on which they are, pixels.
        shape: height and width of what the network sees, pixels.
    """
    points: list[tuple[float, float]] = []
    labels: list[int] = []
    if box is not None:
        points += [(box.x, box.y), (box.x + box.width, box.y + box.height)]
        labels += [PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT]
    for click in clicks:
        points.append((click.x, click.y))
        labels.append(PointLabel.POSITIVE if click.positive else PointLabel.NEGATIVE)
    scale = torch.tensor([shape[1] / size[1], shape[0] / size[0]])
    return (torch.tensor(points) * scale)[None].to(device), torch.tensor(labels)[None].to(device)


def mask_to_network(mask: np.ndarray, shape: tuple[int, int], device: torch.device) -> Tensor:
    """A mask, bool [H, W], resized to what the network sees, 0 or 1: float32 [1, 1, h, w]."""
    pixels = torch.from_numpy(mask).to(device)[None, None].float()
    return (F.interpolate(pixels, shape, mode="bilinear", antialias=True) >= 0.5).float()


def to_masks(logits: Tensor, height: int, width: int, non_overlap: bool = False) -> np.ndarray:
    """Logits [N, h, w] at the image's size, cut at 0, small holes filled: bool [N, height, width].

    Args:
        non_overlap: a pixel that several masks cover stays with the one whose logit is the highest there.
    """
    if not len(logits):
        return np.zeros((0, height, width), dtype=bool)
    if logits.device.type == "cpu":  # the same interpolation, several times as fast
        scaled = torch.from_numpy(np.stack([cv2.resize(x, (width, height)) for x in logits.float().numpy()]))
    else:
        scaled = F.interpolate(logits[:, None].float(), (height, width), mode="bilinear")[:, 0]
    masks = (scaled > 0).cpu().numpy()
    # The reference fills holes of up to 8 cells of the logits; this is the same area in pixels of the image.
    area = int(8 * height * width / (logits.shape[1] * logits.shape[2]))
    for mask in masks:
        _fill_holes(mask, area)
    if non_overlap:  # after holes are filled, in which there may be something else
        contested = masks.sum(axis=0) > 1
        claims = scaled[:, torch.from_numpy(contested)].cpu().numpy()
        owner = np.where(masks[:, contested], claims, -np.inf).argmax(axis=0)
        masks[:, contested] = owner == np.arange(len(masks))[:, None]
    return masks


def _fill_holes(mask: np.ndarray, area: int) -> None:
    """Fill, in place, holes of at most `area` pixels in a mask, bool [H, W]."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return
    columns = np.flatnonzero(mask.any(axis=0))
    inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # With a rim around it, all that is not a hole is one component.
    background = cv2.copyMakeBorder((~inside).view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    count, components = cv2.connectedComponents(background, connectivity=8)
    if count <= 2:  # the object and what is around it
        return
    small = np.bincount(components.ravel(), minlength=count) <= area
    small[[0, components[0, 0]]] = False
    inside[small[components[1:-1, 1:-1]]] = True
