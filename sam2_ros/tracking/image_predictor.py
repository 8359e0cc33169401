"""Promptable segmentation of single images (SAM 2 on images, paper section 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sam2_ros.acceleration import Network, accelerated
from sam2_ros.model.mask_decoder import SINGLE
from sam2_ros.model.sam2 import SAM2, Decoded, logits_of
from sam2_ros.tracking import pixels
from sam2_ros.tracking.box_agreement import answer_to
from sam2_ros.tracking.closer_look import is_better, is_worth_it, look_closer
from sam2_ros.tracking.encoded_image import EncodedImage
from sam2_ros.tracking.image_encoder import ImageEncoder
from sam2_ros.tracking.pixels import mask_input, mask_to_network, prompt_to_network, to_masks, to_points
from sam2_ros.tracking.prompt import Box, Click, Prompt, PromptError, describe, flag


@dataclass(frozen=True, eq=False)
class Candidates:
    """Candidate masks for a prompt, the best first; M is 1 or 3."""

    masks: np.ndarray
    """bool [M, H, W]."""
    iou: np.ndarray
    """Predicted IoU, 0 .. 1: float32 [M]."""
    logits: Tensor
    """[M, h, w]; one of them can go into the next `predict`."""


class ImagePredictor:
    """Segments one image at a time.

    Args:
        model: in eval mode, or a network that is accelerated already.
        dtype: the precision of the computation; None: float32.
        closer_look: `segment` looks closer at small things; None: as the network's config says.
        encode: encodes images and their windows, for a network that other threads use, too: `Tracker.encode`.
        accelerate: as in `Tracker`.
    """

    def __init__(
        self,
        model: SAM2 | Network,
        *,
        dtype: torch.dtype | None = None,
        closer_look: bool | None = None,
        encode: Callable[[np.ndarray], EncodedImage] | None = None,
        accelerate: bool = True,
    ) -> None:
        dtype = torch.float32 if dtype is None and isinstance(model, SAM2) else dtype
        self.model = model
        """The model that was given."""
        self.network = accelerated(model, dtype, enabled=accelerate)
        """What computes: the accelerated model."""
        self._closer_look = self.network.config.closer_look if closer_look is None else closer_look
        self._encode = encode or ImageEncoder(self.network, pixels, keep_pixels=self._closer_look).encode
        self._image: EncodedImage | None = None

    @torch.no_grad()
    def set_image(self, image: np.ndarray | EncodedImage) -> None:
        """Encode an image, for the predictions that follow.

        Args:
            image: uint8 [H, W, 3], RGB. OpenCV reads BGR: image[..., ::-1]. Of a PIL image:
                np.asarray(image.convert("RGB")). Or already encoded, by a tracker with the same network.

        Raises:
            ValueError: the image is of another type or shape.
        """
        self._image = image if isinstance(image, EncodedImage) else self._encode(image)

    @torch.no_grad()
    def predict(
        self,
        clicks: Sequence[Click] = (),
        box: Box | None = None,
        mask_logits: Tensor | None = None,
        multimask: bool = True,
    ) -> Candidates:
        """Segment an object by clicks and a box.

        Equals Meta's image predictor. As there, small holes in masks stay, which `Tracker` fills.

        Args:
            clicks, box: as in `Prompt`.
            mask_logits: of an earlier answer that the clicks correct: one of `Candidates.logits`, [h, w].
            multimask: three candidates, for a prompt that may mean several things (one click); else a single mask.

        Raises:
            PromptError: there is no picture yet, or the prompt cannot be followed.
        """
        if (image := self._image) is None:
            raise PromptError("no picture yet; call set_image first")
        if (several := flag(multimask)) is None:
            raise PromptError(f"multimask is {describe(multimask)}; it must be True or False")
        if mask_logits is not None and box is None and (clicks is None or not len(clicks)):
            raise PromptError("mask_logits alone say nothing new; give the clicks or the box that correct them, too")
        prompt = Prompt(clicks=clicks, box=box).checked(image.height, image.width)
        earlier = None if mask_logits is None else self._mask_input(mask_logits, image.input_size)
        return _candidates(image, self._decode(image, prompt, earlier, several), several)

    def _decode(self, image: EncodedImage, prompt: Prompt, earlier: Tensor | None, several: bool) -> Decoded:
        """Decode clicks and a box, which may correct earlier logits, [1, 1, h, w]."""
        network, size = self.network, (image.height, image.width)
        points, labels = to_points(prompt.box, prompt.clicks, size, image.input_size, network.device)
        conditioned = network.condition(image.features, None)
        return network.decode(conditioned, image.features, points, labels, earlier, several)

    @torch.no_grad()
    def segment(self, prompt: Prompt) -> Candidates:
        """Segment an object by a prompt as a tracker gets it: three candidates for a single click, otherwise one.

        `object_id`, `label` and `replace` have no meaning here. A mask is one that the clicks or the box correct. As a
        tracker does, it looks closer at small things.

        Raises:
            PromptError: there is no picture yet, or the prompt cannot be followed.
        """
        if (image := self._image) is None:
            raise PromptError("no picture yet; call set_image first")
        prompt = prompt.checked(image.height, image.width)
        if prompt.box is None and not prompt.clicks:
            raise PromptError("a mask alone says nothing new; give the clicks or the box that correct it, too")
        if prompt.box is None and prompt.mask is None and not any(click.positive for click in prompt.clicks):
            raise PromptError("only negative clicks; an object needs a positive click, a box or a mask")
        earlier, box = None, prompt.box
        if prompt.mask is not None:
            earlier = mask_input(prompt_to_network(prompt.mask, image.input_size, self.network.device)[1])
        is_ambiguous = box is None and prompt.mask is None and len(prompt.clicks) == 1
        decoded = self._decode(image, prompt, earlier, is_ambiguous)
        decoded = answer_to(self.network.config, decoded, box, prompt.clicks, (image.height, image.width))
        found = _candidates(image, decoded, is_ambiguous)
        if self._closer_look and is_worth_it(image, box, found.logits[0]):
            return self._closer(image, prompt, found, is_ambiguous) or found
        return found

    @torch.no_grad()
    def _closer(self, image: EncodedImage, prompt: Prompt, whole: Candidates, several: bool) -> Candidates | None:
        """What a closer look finds; None: nothing better than the answer on the whole image."""
        box, clicks, mask = prompt.box, prompt.clicks, prompt.mask
        closer = look_closer(self.network, self._encode, image, box, clicks, mask, None, several)
        if closer is None:
            return None
        iou, logits = _best_first(closer.decoded, several)
        masks = closer.masks(logits, fill_holes=False)
        if not is_better(masks[0], box, float(iou[0]), float(whole.iou[0])):
            return None
        device = self.network.device
        inputs = torch.cat([mask_to_network(mask, image.input_size, device) for mask in masks])
        return Candidates(masks, iou.float().cpu().numpy(), logits_of(inputs)[:, 0])

    def _mask_input(self, logits: Tensor, shape: tuple[int, int]) -> Tensor:
        """Earlier logits as mask input of the decoder: [1, 1, h, w]."""
        size = [side // 4 for side in shape]
        if isinstance(logits, np.ndarray) and logits.dtype.kind == "f":
            logits = torch.from_numpy(logits.astype(np.float32))  # PyTorch takes neither all types nor all strides
        if not isinstance(logits, Tensor) or not logits.is_floating_point() or list(logits.shape[-2:]) != size:
            raise PromptError(
                f"mask_logits are {describe(logits)}; give one of the logits of an earlier answer, floats {size}"
            )
        if logits.numel() != size[0] * size[1]:
            raise PromptError(f"mask_logits hold {list(logits.shape)}; give one of them, such as logits[0]")
        if logits.isnan().any():
            raise PromptError("mask_logits hold NaN; give the logits of an earlier answer as they were")
        return mask_input(logits.reshape(1, 1, *size).to(self.network.device))


def _candidates(image: EncodedImage, decoded: Decoded, several: bool) -> Candidates:
    iou, logits = _best_first(decoded, several)
    masks = to_masks(logits, image.height, image.width, fill_holes=False)
    return Candidates(masks, iou.float().cpu().numpy(), logits.float())


def _best_first(decoded: Decoded, several: bool) -> tuple[Tensor, Tensor]:
    """Predicted IoU [M] and logits [M, h, w] of the candidates, the best first.

    On a single image the object is taken as present, whatever the object score is.
    """
    if not several:
        return decoded.iou, decoded.visible_logits
    iou, order = decoded.all_iou[0, SINGLE + 1 :].sort(descending=True)
    return iou, decoded.all_logits[0, SINGLE + 1 :][order]
