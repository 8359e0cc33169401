"""Images, prompts and masks at the image's size as the network's input, and its logits as masks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_ros.model.config import SAM2Config
from sam2_ros.model.prompt_encoder import PointLabel
from sam2_ros.model.sam2 import logits_of
from sam2_ros.tracking.prompt import Box, Click, SmallMaskError

EARLIER_LOGITS_LIMIT = 32.0
"""Maximum absolute value of the decoder's mask input, which is clamped to it as in the reference."""

MIN_MASK_AREA = 4.0
"""Minimum area of a mask prompt, in pixels of the network's input: the default model loses smaller objects almost
always."""

FULL_COVERAGE = 0.999
"""Minimum coverage of a full pixel, which allows for rounding."""

NO_MASKS: Mapping[int, np.ndarray] = MappingProxyType({})

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def to_network(image: np.ndarray, config: SAM2Config, device: torch.device) -> Tensor:
    """Resize an image to the input size (`SAM2Config.shape`) and normalise it.

    Bilinear with antialiasing, as the reference's image predictor does. On a CPU the resize works on bytes, which is
    several times as fast and rounds to 1 / 255; on a GPU it works on floats.

    Args:
        image: uint8 [H, W, 3], RGB.

    Returns:
        float32 [1, 3, h, w].

    Raises:
        ValueError: the image is of another type or shape.
    """
    check_image(image)
    pixels = torch.from_numpy(np.require(image, requirements=["C", "W"]))
    if device.type == "cuda":  # from pinned memory, asynchronously
        pixels = pixels.pin_memory().to(device, non_blocking=True)
    return resized(pixels.to(device), config.shape(*image.shape[:2]))


def check_image(image: np.ndarray) -> np.ndarray:
    """Return the image, uint8 [H, W, 3]. Raises ValueError if it is of another type or shape."""
    valid = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3
    if not valid or image.shape[2] != 3 or not image.size:
        raise ValueError(f"expected an RGB image, uint8 [H, W, 3]; {_conversion(image)}")
    return image


def _conversion(image: object) -> str:
    """Description of a value that is no image, with the code that converts it."""
    if image is None:
        return "got None, as cv2.imread returns for a file that it cannot read"
    if isinstance(image, (str, bytes)) or hasattr(image, "__fspath__"):
        return f"got the path {image!r}: read it with np.asarray(PIL.Image.open(path).convert('RGB'))"
    if hasattr(image, "getbands") and hasattr(image, "mode"):  # PIL, which need not be installed
        return f"got a PIL image of mode {image.mode}: give np.asarray(image.convert('RGB'))"
    if isinstance(image, Tensor):
        order = "image.permute(1, 2, 0)" if image.ndim == 3 and image.shape[0] == 3 else "image"
        return f"got a tensor of {image.dtype} {list(image.shape)}: give {order}.cpu().numpy(), uint8 from 0 to 255"
    if not isinstance(image, np.ndarray):
        return f"got {type(image).__name__}: give a NumPy array"
    got = f"got {image.dtype} {list(image.shape)}"
    if not image.size:
        return f"{got}, which is empty"
    if image.ndim == 4:
        return f"{got}: give one image at a time, images[0]"
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
        return f"{got}, which is grey: give np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2), uint8"
    if image.ndim == 3 and image.shape[2] == 4:
        return f"{got}, which has a fourth channel: give image[..., :3], uint8"
    if image.ndim == 3 and image.shape[0] == 3 and image.shape[2] != 3:
        return f"{got}, which has its colours first: give image.transpose(1, 2, 0), uint8"
    if image.ndim == 3 and image.shape[2] == 3 and image.dtype.kind in "fiu":
        most = 1 if image.dtype.kind == "f" else 65535
        scaled = "image * 255" if most == 1 else "image / 257"
        return f"{got}: give image.astype(np.uint8) for colours up to 255, ({scaled}).astype(np.uint8) up to {most}"
    return got


def resized(pixels: Tensor, shape: tuple[int, int]) -> Tensor:
    """Resize and normalise, on the device of the pixels: uint8 [H, W, 3] -> float32 [1, 3, *shape]."""
    pixels = pixels[None].permute(0, 3, 1, 2)
    if pixels.device.type == "cpu":
        return _normalised_on_cpu(F.interpolate(pixels, shape, mode="bilinear", antialias=True))
    return normalised(F.interpolate(pixels.float(), shape, mode="bilinear", antialias=True))


def normalised(pixels: Tensor) -> Tensor:
    """Normalise colours with ImageNet's statistics: 0 .. 255, any type, [..., 3, h, w] -> float32, about -2 .. 3."""
    mean, std = _statistics(pixels.device)
    return (pixels / 255).float().sub_(mean).div_(std)


def _normalised_on_cpu(pixels: Tensor) -> Tensor:
    """As `normalised`, for bytes [1, 3, h, w]: channel by channel, in the cache, without waking PyTorch's threads."""
    result = torch.empty(pixels.shape)
    channels = cv2.split(pixels[0].permute(1, 2, 0).numpy())
    for channel, to, mean, std in zip(channels, result[0].numpy(), _MEAN, _STD, strict=True):
        np.divide(channel, np.float32(255), out=to)
        to -= np.float32(mean)
        to /= np.float32(std)
    return result


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _statistics(device: torch.device) -> Tensor:
    """Mean and standard deviation of colours, cached by device: [2, 3, 1, 1]."""
    return torch.tensor([_MEAN, _STD], device=device)[..., None, None]


def to_points(
    box: Box | None,
    clicks: Sequence[Click],
    size: tuple[int, int],
    shape: tuple[int, int],
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Convert a box and clicks to labelled points of the network's input: [1, P, 2] and int64 [1, P].

    Args:
        size: height and width of their image, pixels.
        shape: height and width of the input, pixels.
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
    """Resize a mask, bool [H, W], to the input size: 0 or 1, float32 [1, 1, h, w]."""
    return (_coverage(mask, shape, device) >= 0.5).float()


def _coverage(mask: np.ndarray, shape: tuple[int, int], device: torch.device) -> Tensor:
    """The share of each input pixel that a mask, bool [H, W], covers: 0 .. 1, float32 [1, 1, h, w]."""
    pixels = torch.from_numpy(mask).to(device)[None, None].float()
    return F.interpolate(pixels, shape, mode="bilinear", antialias=True)


def check_large_enough(mask: np.ndarray, shape: tuple[int, int]) -> None:
    """Check that the network can hold a mask prompt, bool [H, W], at an input of this height and width.

    Raises:
        SmallMaskError: it covers less than `MIN_MASK_AREA`.
    """
    height, width = mask.shape
    smallest = MIN_MASK_AREA * height * width / (shape[0] * shape[1])
    count = np.count_nonzero(mask)
    if count < smallest:
        side = math.ceil(math.sqrt(smallest))
        minimum = f"{side} x {side}" if side <= min(height, width) else f"{math.ceil(smallest)} pixels"
        raise SmallMaskError(
            f"the mask has {count} pixels, too few for the network to hold: in images of {width} x {height} it can"
            f" hold {minimum}; crop the images, or let the network see more (image_size)"
        )


def is_large_enough(mask: np.ndarray, shape: tuple[int, int]) -> bool:
    """Whether the network can hold a mask prompt (`check_large_enough`)."""
    try:
        check_large_enough(mask, shape)
    except SmallMaskError:
        return False
    return True


def prompt_to_network(mask: np.ndarray, shape: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Convert a mask prompt to the network's input: the resized mask (`mask_to_network`) and its logits (`logits_of`).

    Other masks are cut at a coverage of one half. One that is so small or thin that it fills no input pixel, or no cell
    of the logits, is cut at half of its highest coverage: otherwise it would be empty, and the object lost.

    Args:
        mask: bool [H, W].
        shape: height and width of the input, pixels.

    Returns:
        0 or 1, float32 [1, 1, h, w]; -10 .. 10, float32 [1, 1, h / 4, w / 4].

    Raises:
        SmallMaskError: it covers less than `MIN_MASK_AREA`.
    """
    check_large_enough(mask, shape)
    coverage = _coverage(mask, shape, device)
    highest = float(coverage.max())
    resized_mask = (coverage >= (0.5 if highest > FULL_COVERAGE else highest / 2)).float()
    logits = logits_of(resized_mask)
    highest = (float(logits.max()) + 10) / 20
    return resized_mask, logits if highest > FULL_COVERAGE else (logits + 10) / highest - 10


def mask_input(logits: Tensor) -> Tensor:
    """Logits of an earlier answer, any shape, as mask input of the decoder: float32, clamped as in the reference."""
    return logits.float().clamp(-EARLIER_LOGITS_LIMIT, EARLIER_LOGITS_LIMIT)


def to_masks(
    logits: Tensor,
    height: int,
    width: int,
    non_overlap: bool = False,
    prompted: Mapping[int, np.ndarray] = NO_MASKS,
    fill_holes: bool = True,
) -> np.ndarray:
    """Resize logits [N, h, w] to the image's size and cut them at 0: bool [N, height, width].

    Args:
        non_overlap: a pixel that several masks cover stays in the mask with the highest logit there.
        prompted: prompted masks by row, which stay unchanged, bool [height, width].
        fill_holes: fill small holes (`without_holes`), as the reference's predictor for videos does, but not that for
            pictures.
    """
    if not len(logits):
        return np.zeros((0, height, width), dtype=bool)
    if non_overlap or logits.device.type != "cpu":
        scaled, masks = resize_logits(logits, height, width, fill_holes)
        return resolve_overlaps(_to_host(masks), scaled, non_overlap, prompted)
    cut = np.empty((len(logits), height, width), dtype=bool)
    scaled_mask = np.empty((height, width), np.float32)  # of all masks in turn: fresh memory takes longer than the rest
    for x, mask in zip(_filled(logits, fill_holes).numpy(), cut, strict=True):
        cv2.resize(x, (width, height), dst=scaled_mask)
        np.greater(scaled_mask, 0, out=mask)
    return resolve_overlaps(cut, logits, False, prompted)


def resize_logits(logits: Tensor, height: int, width: int, fill_holes: bool = True) -> tuple[Tensor, Tensor]:
    """Fill small holes and resize logits [N, h, w]: logits, float32, and masks, bool [N, height, width]."""
    logits = _filled(logits, fill_holes)
    if logits.device.type == "cpu":  # the same interpolation, several times as fast
        scaled = logits.new_empty(len(logits), height, width)
        for x, to in zip(logits.numpy(), scaled.numpy(), strict=True):
            cv2.resize(x, (width, height), dst=to)
    else:
        scaled = F.interpolate(logits[:, None], (height, width), mode="bilinear")[:, 0]
    return scaled, scaled > 0


def _filled(logits: Tensor, fill_holes: bool) -> Tensor:
    return without_holes(logits.float()) if fill_holes else logits.float()


def resolve_overlaps(
    masks: np.ndarray, logits: Tensor, non_overlap: bool, prompted: Mapping[int, np.ndarray]
) -> np.ndarray:
    """Put prompted masks in their rows of masks, bool [N, H, W], and remove overlaps (`to_masks`). In place.

    Each contested pixel stays in one mask: in a prompted one, or else in that with the highest logit. Holes are filled
    before, since another object may lie in them.
    """
    for row, mask in prompted.items():
        masks[row] = mask
    if not non_overlap:
        return masks
    contested = masks.sum(axis=0) > 1
    claims = logits[:, torch.from_numpy(contested)].cpu().numpy()
    claims[list(prompted)] = np.inf
    owner = np.where(masks[:, contested], claims, -np.inf).argmax(axis=0)
    masks[:, contested] = owner == np.arange(len(masks))[:, None]
    return masks


def without_holes(logits: Tensor, area: int = 8) -> Tensor:
    """Set holes of up to `area` cells in logits [N, h, w] to 0.1, as in the reference.

    A hole is a component of cells at or below 0, connected also across corners.
    """
    outside = logits <= 0
    holes = small_holes_on_gpu(outside, area) if logits.is_cuda else small_holes_on_cpu(outside, area)
    return torch.where(holes, 0.1, logits)


def small_holes_on_cpu(outside: Tensor, area: int) -> Tensor:
    """Cells in components of `outside`, bool [N, h, w], of no more than `area` cells: bool [N, h, w]. On a CPU."""
    holes = np.zeros(outside.shape, dtype=bool)
    for cells, small_holes in zip(outside.numpy(), holes, strict=True):
        count, components = cv2.connectedComponents(cells.view(np.uint8), connectivity=8)
        small = np.bincount(components.ravel(), minlength=count) <= area
        small[0] = False  # the mask
        if small.any():
            small_holes[:] = small[components]
    return torch.from_numpy(holes)


def small_holes_on_gpu(outside: Tensor, area: int) -> Tensor:
    """As `small_holes_on_cpu`, in operations of a GPU, without synchronisation with the host."""
    cells = outside.float()
    # Each cell takes the highest number that is connected to it within `area` steps. If a neighbour then has a higher
    # number, the component is larger; and the highest number has been taken by more cells than `area`.
    label = cells * torch.arange(1, cells[0].numel() + 1, device=cells.device).view_as(cells[0])
    for _ in range(area):
        label = F.max_pool2d(label, 3, stride=1, padding=1) * cells
    is_larger = F.max_pool2d(label, 3, stride=1, padding=1) * cells != label
    label = label.long().flatten(1)
    is_larger, total = is_larger.flatten(1), label.shape[1]
    # Uncounted cells have places of their own: thousands of cells that add to one place would wait for each other.
    elsewhere = torch.arange(total + 1, 2 * total + 1, device=cells.device)
    counted = torch.where(outside.flatten(1) & ~is_larger, label, elsewhere)
    size = torch.zeros(len(label), 2 * total + 1, device=cells.device)
    size.scatter_add_(1, counted, torch.ones_like(counted, dtype=size.dtype))
    size.scatter_(1, torch.where(is_larger, label, elsewhere), area + 1.0)
    return (size.gather(1, label) <= area).view_as(outside) & outside


def _to_host(masks: Tensor) -> np.ndarray:
    """Copy from a GPU through pinned memory, several times as fast."""
    if masks.device.type == "cpu":
        return masks.numpy()
    landing = torch.empty(masks.shape, dtype=masks.dtype, pin_memory=True)
    return landing.copy_(masks).numpy().copy()
