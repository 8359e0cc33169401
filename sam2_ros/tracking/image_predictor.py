"""One picture, promptable: masks for clicks and boxes without a stream (SAM 2 on images, paper section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sam2_ros.model.mask_decoder import SINGLE
from sam2_ros.model.sam2 import SAM2, ImageFeatures
from sam2_ros.tracking.pixels import to_masks, to_network, to_points
from sam2_ros.tracking.prompt import Box, Click, Prompt, PromptError


@dataclass(frozen=True, eq=False)
class Candidates:
    """Masks that a prompt may mean, the best first; M is 1 or 3."""

    masks: np.ndarray
    """bool [M, H, W]."""
    iou: np.ndarray
    """Predicted IoU, 0 .. 1: float32 [M]."""
    logits: Tensor
    """[M, h, w]; one of them can go into the next `predict`."""


class ImagePredictor:
    """Segments one picture at a time."""

    def __init__(self, model: SAM2) -> None:
        self.model = model
        self._features: ImageFeatures | None = None
        self._size = (0, 0)

    @torch.no_grad()
    def set_image(self, image: np.ndarray) -> None:
        """Encode a picture, uint8 [H, W, 3] RGB; the predictions that follow are about it."""
        pixels = to_network(image, self.model.config, self.model.device)
        self._features = self.model.encode_image(pixels)
        self._size = image.shape[:2]

    @torch.no_grad()
    def predict(
        self,
        clicks: Sequence[Click] = (),
        box: Box | None = None,
        mask_logits: Tensor | None = None,
        multimask: bool = True,
    ) -> Candidates:
        """Masks for clicks and a box.

        Args:
            mask_logits: of an earlier answer that the clicks correct: [h, w].
            multimask: three candidates, for a prompt that may mean several things (one click); else a single mask.

        Raises:
            PromptError: there is no picture yet, or the prompt cannot be followed.
        """
        if self._features is None:
            raise PromptError("no picture yet; call set_image first")
        prompt = Prompt(clicks=tuple(clicks), box=box).checked(*self._size)
        shape, device = self.model.config.shape(*self._size), self.model.device
        points, labels = to_points(prompt.box, prompt.clicks, self._size, shape, device)
        decoded = self.model.decode(
            self.model.without_memory(self._features),
            self._features,
            points,
            labels,
            None if mask_logits is None else mask_logits[None, None].to(device),
            multimask,
        )
        # On a picture the object is there, whatever the object score says.
        if multimask:
            iou, order = decoded.all_iou[0, SINGLE + 1 :].sort(descending=True)
            logits = decoded.all_logits[0, SINGLE + 1 :][order]
        else:
            iou, logits = decoded.iou, decoded.visible_logits
        return Candidates(to_masks(logits, *self._size), iou.float().cpu().numpy(), logits.float())
