"""Between images as cameras deliver them and the tensors that the network sees."""

from __future__ import annotations

from functools import lru_cache

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
    checked(image)
    pixels = torch.from_numpy(np.require(image, requirements="CW"))
    if device.type == "cuda":  # from pinned memory, while the host goes on
        pixels = pixels.pin_memory().to(device, non_blocking=True)
    return resized(pixels.to(device), config.shape(*image.shape[:2]))


def checked(image: np.ndarray) -> np.ndarray:
    """The image, uint8 [H, W, 3]. Raises ValueError if it is of another type or shape."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"expected an RGB image, uint8 [H, W, 3], got {image.dtype} {list(image.shape)}")
    return image


def resized(pixels: Tensor, shape: tuple[int, int]) -> Tensor:
    """uint8 [H, W, 3] -> float32 [1, 3, *shape], as the network wants it, where the pixels are."""
    pixels = pixels.permute(2, 0, 1)[None]
    if pixels.device.type != "cpu":
        pixels = pixels.float()
    return normalised(F.interpolate(pixels, shape, mode="bilinear", antialias=True))


def normalised(pixels: Tensor) -> Tensor:
    """Colours as the network wants them: 0 .. 255, of any type, [..., 3, h, w] -> float32, about -2 .. 3."""
    mean, std = _statistics(pixels.device)
    return (pixels / 255).float().sub_(mean).div_(std)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _statistics(device: torch.device) -> Tensor:
    """Mean and standard deviation of colours, where they are needed: [2, 3, 1, 1]."""
    return torch.tensor([_MEAN, _STD], device=device)[..., None, None]


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
    scaled, masks = cut(logits, height, width)
    return settled(_to_host(masks), scaled) if non_overlap else _to_host(masks)


def cut(logits: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Logits [N, h, w] at another size, small holes filled; and the masks there: float32, bool [N, height, width]."""
    logits = without_holes(logits.float())
    if logits.device.type == "cpu":  # the same interpolation, several times as fast
        scaled = logits.new_empty(len(logits), height, width)
        for x, to in zip(logits.numpy(), scaled.numpy(), strict=True):
            cv2.resize(x, (width, height), dst=to)
    else:
        scaled = F.interpolate(logits[:, None], (height, width), mode="bilinear")[:, 0]
    return scaled, scaled > 0


def settled(masks: np.ndarray, logits: Tensor) -> np.ndarray:
    """Masks, bool [N, H, W], of which each pixel is in one at most: the one with the highest logit there.

    That is settled after holes are filled, in which there may be something else.
    """
    contested = masks.sum(axis=0) > 1
    claims = logits[:, torch.from_numpy(contested)].cpu().numpy()
    owner = np.where(masks[:, contested], claims, -np.inf).argmax(axis=0)
    masks[:, contested] = owner == np.arange(len(masks))[:, None]
    return masks


def without_holes(logits: Tensor, area: int = 8) -> Tensor:
    """Logits [N, h, w], in which holes of up to `area` cells have become 0.1, as in the reference.

    A hole is what is connected, also across corners, at or below 0.
    """
    outside = logits <= 0
    holes = holes_side_by_side(outside, area) if logits.is_cuda else holes_one_by_one(outside, area)
    return torch.where(holes, 0.1, logits)


def holes_one_by_one(outside: Tensor, area: int) -> Tensor:
    """What of the outside of masks is connected over no more than `area` cells: bool [N, h, w]. On a CPU."""
    holes = np.zeros(outside.shape, dtype=bool)
    for cells, found in zip(outside.numpy(), holes, strict=True):
        count, components = cv2.connectedComponents(cells.view(np.uint8), connectivity=8)
        small = np.bincount(components.ravel(), minlength=count) <= area
        small[0] = False  # the mask
        if small.any():
            found[:] = small[components]
    return torch.from_numpy(holes)


def holes_side_by_side(outside: Tensor, area: int) -> Tensor:
    """The same, for a GPU, which nobody has to wait for in here."""
    cells = outside.float()
    # Each cell takes the highest number that is connected to it within so many steps. Where a neighbour has a higher
    # one after that, what is connected is larger; and the highest number has been taken by more cells than `area`.
    label = cells * torch.arange(1, cells[0].numel() + 1, device=cells.device).view_as(cells[0])
    for _ in range(area):
        label = F.max_pool2d(label, 3, stride=1, padding=1) * cells
    goes_on = F.max_pool2d(label, 3, stride=1, padding=1) * cells != label
    label = label.long().flatten(1)
    goes_on, total = goes_on.flatten(1), label.shape[1]
    # What need not be counted has a place of its own: thousands of cells that add to one place wait for each other.
    elsewhere = torch.arange(total + 1, 2 * total + 1, device=cells.device)
    counted = torch.where(outside.flatten(1) & ~goes_on, label, elsewhere)
    size = torch.zeros(len(label), 2 * total + 1, device=cells.device)
    size.scatter_add_(1, counted, torch.ones_like(counted, dtype=size.dtype))
    size.scatter_(1, torch.where(goes_on, label, elsewhere), area + 1.0)
    return (size.gather(1, label) <= area).view_as(outside) & outside


def _to_host(masks: Tensor) -> np.ndarray:
    """From a GPU by way of memory that it writes to directly, several times as fast."""
    if masks.device.type == "cpu":
        return masks.numpy()
    landing = torch.empty(masks.shape, dtype=masks.dtype, pin_memory=True)
    return landing.copy_(masks).numpy().copy()
