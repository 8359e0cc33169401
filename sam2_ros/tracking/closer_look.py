"""A closer look at small things: what is pointed at is segmented once more, in a window of the image around it.

A network sees every image at the same input size, where a small thing is a few cells of the features. A window around
it is encoded like an image of its own. A box says how large its thing is, and so the window. Clicks don't: if the
answer to them covers little of the image, they get a window of half its sides, whose answer is taken if it is small,
too; of a large thing, a window shows a part. The paper has nothing like it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor

from sam2_ros.acceleration import Network
from sam2_ros.model.config import SAM2Config
from sam2_ros.model.sam2 import Decoded
from sam2_ros.tracking.box_agreement import answer_to
from sam2_ros.tracking.crops import Crop
from sam2_ros.tracking.encoded_image import EncodedImage
from sam2_ros.tracking.pixels import mask_input, prompt_to_network, to_masks, to_points
from sam2_ros.tracking.prompt import Box, Click, SmallMaskError

ZOOM = 2.0
"""The sides of the image in sides of the window around clicks."""
SMALL = 0.04
"""Share of the image that the answer to clicks covers at most, if it is worth looking closer."""
SMALL_IN_WINDOW = 0.02
"""Share of the image that the answer in their window covers at most, if it is taken."""
AS_SURE = 0.75
"""Predicted IoU of that answer at least, relative to the one on the whole image."""
SMALL_BOX = 0.2
"""Share of the image's side that a box covers at most, if it is worth looking closer."""
BOX_IN_WINDOW, MOST_ZOOM = 0.5, 4.0
"""Share of the window's side that a box covers, as far as the zoom allows."""
LEAST_SIDE = 32
"""Of the window, pixels: smaller ones show nothing."""


@dataclass(frozen=True, eq=False)
class CloserLook:
    """The answer to a prompt in a window of its image."""

    window: Crop
    height: int
    """Of the whole image, as `width`."""
    width: int
    decoded: Decoded
    """In the window."""

    def masks(self, logits: Tensor, fill_holes: bool = True) -> np.ndarray:
        """Logits in the window, [M, h, w], as masks of the whole image: bool [M, H, W]."""
        window = self.window
        masks = np.zeros((len(logits), self.height, self.width), bool)
        inside = to_masks(logits, window.bottom - window.top, window.right - window.left, fill_holes=fill_holes)
        masks[:, window.top : window.bottom, window.left : window.right] = inside
        return masks


def is_worth_it(image: EncodedImage, box: Box | None, logits: Tensor) -> bool:
    """Whether a closer look at what is prompted may be better than the answer on the whole image, logits [h, w]."""
    if image.pixels is None:
        return False
    if box is not None:
        return _share(box, image.height, image.width) < SMALL_BOX
    return bool((logits > 0).float().mean() < SMALL)


def is_better(mask: np.ndarray, box: Box | None, iou: float, whole_iou: float) -> bool:
    """Whether a mask that a closer look has found is to replace the answer on the whole image.

    Args:
        mask: bool [H, W].
        iou: its predicted IoU, as `whole_iou` is that of the answer on the whole image.
    """
    if box is not None:
        return bool(mask.any())
    return 0 < int(np.count_nonzero(mask)) < SMALL_IN_WINDOW * mask.size and iou >= AS_SURE * whole_iou


def look_closer(
    network: Network,
    encode: Callable[[np.ndarray], EncodedImage],
    image: EncodedImage,
    box: Box | None,
    clicks: Sequence[Click],
    mask: np.ndarray | None,
    earlier: CloserLook | None,
    multimask: bool,
) -> CloserLook | None:
    """Segment what a prompt means in a window around it.

    Args:
        encode: encodes the window, uint8 [H, W, 3].
        image: with its pixels.
        mask: one that the clicks or the box correct, bool [H, W].
        earlier: the answer that the clicks correct, if a closer look has found it.
        multimask: as in `SAM2.decode`.

    Returns:
        None if no such window shows all of the prompt, or the mask is too small even for the window.
    """
    window = window_around(image.height, image.width, box, clicks, mask)
    if earlier is not None and all(_is_inside(click, earlier.window) for click in clicks):
        window = earlier.window
    if window is None:
        return None
    size = window.bottom - window.top, window.right - window.left
    encoded = encode(_shown(image, window))
    box = None if box is None else box._replace(x=box.x - window.left, y=box.y - window.top)
    clicks = [click._replace(x=click.x - window.left, y=click.y - window.top) for click in clicks]
    points, labels = to_points(box, clicks, size, encoded.input_size, network.device)
    corrected = None
    if earlier is not None and window == earlier.window:
        corrected = mask_input(earlier.decoded.mask_logits[None])
    elif mask is not None:
        try:
            corrected = prompt_to_network(window.of(mask), encoded.input_size, network.device)[1]
        except SmallMaskError:
            return None
    conditioned = network.condition(encoded.features, None)
    decoded = network.decode(conditioned, encoded.features, points, labels, corrected, multimask)
    decoded = answer_to(network.config, decoded, box, clicks, size)
    return CloserLook(window, image.height, image.width, decoded)


def window_around(
    height: int, width: int, box: Box | None, clicks: Sequence[Click], mask: np.ndarray | None
) -> Crop | None:
    """The window of an image, around the middle of a prompt; None: there is none that shows all of the prompt."""
    zoom = ZOOM if box is None else min(MOST_ZOOM, BOX_IN_WINDOW / _share(box, height, width))
    h, w = round(height / zoom), round(width / zoom)
    corners = [(click.x, click.y) for click in clicks]
    if box is not None:
        corners += [(box.x, box.y), (box.x + box.width, box.y + box.height)]
    if mask is not None:
        x, y, columns, rows = cv2.boundingRect(mask.view(np.uint8))
        corners += [(x, y), (x + columns, y + rows)]
    (left, top), (right, bottom) = np.min(corners, axis=0), np.max(corners, axis=0)
    if min(h, w) < LEAST_SIDE or right - left > w or bottom - top > h:
        return None
    window_left = int(np.clip((left + right - w) / 2, 0, width - w))
    window_top = int(np.clip((top + bottom - h) / 2, 0, height - h))
    return Crop(window_left, window_top, window_left + w, window_top + h)


def pixels_for(image: np.ndarray, config: SAM2Config) -> np.ndarray:
    """What a closer look needs of an image, uint8 [H, W, 3]: a copy, without pixels that no window would show."""
    h, w = config.shape(*image.shape[:2])
    factor = int(min(image.shape[0] / h, image.shape[1] / w) / ZOOM)
    if factor < 2:
        return np.array(image, order="C")
    size = image.shape[1] // factor, image.shape[0] // factor
    return cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)


def _is_inside(click: Click, window: Crop) -> bool:
    return window.left <= click.x < window.right and window.top <= click.y < window.bottom


def _share(box: Box, height: int, width: int) -> float:
    """The share of an image's side that a box covers, the longer one."""
    return max(box.width / width, box.height / height)


def _shown(image: EncodedImage, window: Crop) -> np.ndarray:
    """The pixels of the window, as far as the image's are known."""
    assert image.pixels is not None
    y, x = image.pixels.shape[0] / image.height, image.pixels.shape[1] / image.width
    rows, columns = (window.top * y, window.bottom * y), (window.left * x, window.right * x)
    (top, bottom), (left, right) = ([round(edge) for edge in edges] for edges in (rows, columns))
    return np.ascontiguousarray(image.pixels[top:bottom, left:right])
