"""Automatic masks: everything in an image, without prompts (SAM 2 paper, "Data engine"; SAM paper, appendix B)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from sam2_ros.acceleration import Network, accelerated
from sam2_ros.model.config import SAM2Config
from sam2_ros.model.mask_decoder import SINGLE
from sam2_ros.model.prompt_encoder import PointLabel
from sam2_ros.model.sam2 import SAM2, Decoded, ImageFeatures
from sam2_ros.tracking import rle
from sam2_ros.tracking.crops import Crop, crops_of, grid
from sam2_ros.tracking.encoded_image import EncodedImage
from sam2_ros.tracking.mask_regions import without_small_holes, without_small_islands
from sam2_ros.tracking.pixels import check_image, mask_input, to_network
from sam2_ros.tracking.prompt import Box
from sam2_ros.tracking.suppression import suppress

CROP_EDGE_MARGIN = 20.0
"""Masks that end within so many pixels of a crop's edge are cut off by it, and another crop shows them whole."""


@dataclass(frozen=True)
class EverythingSettings:
    """How everything in an image is found. Names and defaults are those of Meta's generator.

    Raises:
        ValueError: a value is out of range; the message names it.
    """

    points_per_side: int = 32
    """A grid of so many points on each side prompts the whole image, one click each."""
    points_per_batch: int = 64
    """Points that the decoder answers at once. It changes speed and memory, not the masks."""
    pred_iou_thresh: float = 0.8
    """Minimum predicted IoU of a mask."""
    stability_score_thresh: float = 0.95
    """Minimum stability: the IoU of the masks that result from a higher and a lower threshold."""
    stability_score_offset: float = 1.0
    """Distance of those thresholds from `mask_threshold`, in logits."""
    mask_threshold: float = 0.0
    """Logit above which a pixel belongs to a mask."""
    box_nms_thresh: float = 0.7
    """IoU of two boxes in one crop above which the worse mask is dropped."""
    crop_n_layers: int = 0
    """Layers of crops that are searched beside the whole image: n adds 4 ** n crops."""
    crop_nms_thresh: float = 0.7
    """As `box_nms_thresh`, between crops; masks from smaller crops win."""
    crop_overlap_ratio: float = 512 / 1500
    """Overlap of neighbouring crops, as a share of the image's shorter side."""
    crop_n_points_downscale_factor: int = 1
    """In layer n, the points per side are divided by this to the power of n."""
    min_mask_region_area: int = 0
    """Holes and islands of fewer pixels are filled and removed."""
    use_m2m: bool = False
    """Refine each mask by the decoder once more, with the mask and its point as prompts (SAM 2.1)."""
    multimask_output: bool = True
    """Take three candidates for each point: part, whole and in between. Else one."""

    def __post_init__(self) -> None:
        for name, least in (("points_per_side", 1), ("points_per_batch", 1), ("crop_n_points_downscale_factor", 1)):
            _check(name, getattr(self, name), least, 1024)
        _check("crop_n_layers", self.crop_n_layers, 0, 4)
        _check("min_mask_region_area", self.min_mask_region_area, 0, 2**31)
        for name in ("pred_iou_thresh", "stability_score_thresh", "box_nms_thresh", "crop_nms_thresh"):
            _check(name, getattr(self, name), 0, 1)
        _check("crop_overlap_ratio", self.crop_overlap_ratio, 0, 0.99)
        _check("stability_score_offset", self.stability_score_offset, 0, 1000)
        _check("mask_threshold", self.mask_threshold, -1000, 1000)

    @classmethod
    def suited_to(cls, config: SAM2Config) -> EverythingSettings:
        """The settings that suit a network: for the released ones Meta's defaults, for others what was calibrated.

        The default model rates its masks lower than the released ones do, and their edges are less steep: Meta's
        thresholds leave none of its masks.
        """
        return replace(cls(), **_SUITED.get(config.name, {}))


_SUITED: dict[str, dict[str, Any]] = {
    "default": {
        "points_per_side": 16,  # on its small input, four times as many find hardly more
        "pred_iou_thresh": 0.4,
        "stability_score_thresh": 0.4,
        "box_nms_thresh": 0.5,
    }
}
"""What differs from Meta's defaults, by name of the model; calibrated by benchmarks/everything_thresholds.py."""


@dataclass(frozen=True, eq=False)
class AutomaticMask:
    """One thing in an image."""

    height: int
    width: int
    counts: np.ndarray
    """Run lengths of the mask: uint32 [K] (`rle`)."""
    iou: float
    """Predicted IoU with the truth, about 0 .. 1."""
    stability: float
    """IoU of the masks that result from a higher and a lower threshold, 0 .. 1."""
    point: tuple[float, float]
    """The click that it answers: x, y, pixels."""
    crop: Crop
    """The part of the image in which it was found."""

    @property
    def mask(self) -> np.ndarray:
        """bool [H, W]."""
        return rle.decode(self.counts, self.height, self.width)

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(self.counts[1::2].sum())

    @property
    def box(self) -> Box:
        """The tight box around the mask, whole pixels."""
        return Box(*cv2.boundingRect(self.mask.view(np.uint8)))


class AutomaticMaskGenerator:
    """Segments everything in an image.

    The image is encoded once; a grid of points then prompts the decoder in batches. Masks that the network itself
    rates low, that are unstable, or that repeat others are dropped. Only those that are rated well enough are enlarged
    to the size of the image, which is why it is faster than enlarging all.

    Args:
        model: in eval mode, or a network that is accelerated already.
        settings: None: Meta's defaults.
        dtype, accelerate: as in `ImagePredictor`.
        turn: entered for each batch of points. With `Tracker.turn`, a tracker in another thread may use the same
            network: it tracks between two batches. Its `encode` then makes the `EncodedImage` for `generate`.
    """

    def __init__(
        self,
        model: SAM2 | Network,
        settings: EverythingSettings | None = None,
        *,
        dtype: torch.dtype | None = None,
        accelerate: bool = True,
        turn: AbstractContextManager[None] | None = None,
    ) -> None:
        dtype = torch.float32 if dtype is None and isinstance(model, SAM2) else dtype
        self.network = accelerated(model, dtype, enabled=accelerate)
        self.settings = settings or EverythingSettings()
        self._turn = turn or nullcontext()

    @torch.no_grad()
    def generate(
        self,
        image: np.ndarray | EncodedImage,
        encoded: EncodedImage | None = None,
        on_progress: Callable[[float], object] = lambda _: None,
    ) -> list[AutomaticMask]:
        """The masks of everything in an image; those of the whole image first, by descending predicted IoU.

        Args:
            image: uint8 [H, W, 3], RGB. Or already encoded, which is enough without crops.
            encoded: the same image, if it is encoded already.
            on_progress: called with the share of the work that is done, 0 .. 1. It may raise an exception, which ends
                the work.

        Raises:
            ValueError: the image is of another type or shape, or crops of an encoded image are asked for.
        """
        settings = self.settings
        if isinstance(image, EncodedImage):
            if settings.crop_n_layers:
                raise ValueError("crops need the image itself; give it, too, or set crop_n_layers to 0")
            encoded = image
            image = np.broadcast_to(np.uint8(0), (encoded.height, encoded.width, 3))  # it has the shape, which counts
        height, width = check_image(image).shape[:2]
        crops = crops_of(height, width, settings.crop_n_layers, settings.crop_overlap_ratio)
        found = _Found.none()
        for i, crop in enumerate(crops):
            begin, share = i / len(crops), 1 / len(crops)
            in_crop = self._search(
                image,
                crop,
                encoded if i == 0 else None,
                lambda done: on_progress(begin + share * done),  # noqa: B023
            )
            found = _Found.joined([found, in_crop])
        if len(crops) > 1:
            scores = 1 / np.array([crop.area for crop in found.crops], np.float32)
            found = found[suppress(found.boxes, scores, settings.crop_nms_thresh)]
        if settings.min_mask_region_area:
            found = self._without_small_regions(found, height, width, on_progress)
        return [
            AutomaticMask(height, width, counts, float(iou), float(stability), (float(x), float(y)), crop)
            for counts, iou, stability, (x, y), crop in zip(
                found.counts, found.iou, found.stability, found.points, found.crops, strict=True
            )
        ]

    def _search(
        self, image: np.ndarray, crop: Crop, encoded: EncodedImage | None, on_progress: Callable[[float], object]
    ) -> _Found:
        """Everything in one crop, in pixels of the image."""
        pixels = crop.of(image)
        size = pixels.shape[:2]
        features = (
            self.network.encode_image(to_network(pixels, self.network.config, self.network.device))
            if encoded is None
            else encoded.features
        )
        settings = self.settings
        per_side = max(1, int(settings.points_per_side / settings.crop_n_points_downscale_factor**crop.layer))
        points = grid(per_side) * size[::-1]
        batches = []
        for start in range(0, len(points), settings.points_per_batch):
            batch = points[start : start + settings.points_per_batch]
            batches.append(self._answers(features, batch, size, crop, image.shape[:2]))
            on_progress(min(1.0, (start + len(batch)) / len(points)))
        found = _Found.joined(batches)
        found = found[suppress(found.boxes, found.iou, settings.box_nms_thresh)]
        offset = np.array([crop.left, crop.top])
        return replace(found, boxes=found.boxes + np.tile(offset, 2), points=found.points + offset)

    def _answers(
        self, features: ImageFeatures, points: np.ndarray, size: tuple[int, int], crop: Crop, image: tuple[int, int]
    ) -> _Found:
        """The masks of good quality for one batch of points, in pixels of the crop.

        Args:
            points: x, y, pixels of the crop: [P, 2].
            size: height and width of the crop.
            image: height and width of the image.
        """
        with self._turn:
            points, rows, ious = self._rated_well(features, points, size)
        found = []
        for index, row in enumerate(rows):
            mask = self._stable_mask(row, size)
            if mask is None:
                continue
            cut, stability = mask
            box = _box(cut)
            if crop.cuts(box[None], *image, CROP_EDGE_MARGIN)[0]:
                continue
            whole = cut
            if size != image:
                whole = np.zeros(image, bool)
                crop.of(whole)[:] = cut
            found.append(_Found.one(rle.encode(whole), ious[index], stability, box, points[index], crop))
        return _Found.joined(found)

    def _rated_well(
        self, features: ImageFeatures, points: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The masks for one batch of points that the network itself rates well, G of them.

        Returns:
            Their points [G, 2], their logits [G, h, w], and their predicted IoU [G].
        """
        settings = self.settings
        decoded = self._decode(features, points, size, settings.multimask_output)
        if settings.multimask_output:
            logits, iou = decoded.all_logits[:, SINGLE + 1 :].flatten(0, 1), decoded.all_iou[:, SINGLE + 1 :].flatten()
            points = points.repeat(decoded.all_iou.shape[1] - 1, axis=0)
        else:
            logits, iou = decoded.visible_logits, decoded.iou
        if settings.use_m2m:
            logits, iou = self._refined(features, points, size, logits)
        logits, iou = logits.float(), iou.float()
        good = (
            iou > settings.pred_iou_thresh if settings.pred_iou_thresh > 0 else torch.ones_like(iou, dtype=torch.bool)
        )
        chosen = good.nonzero()[:, 0].cpu().numpy()
        return points[chosen], logits[good].cpu().numpy(), iou.cpu().numpy()[chosen]

    def _stable_mask(self, logits: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, float] | None:
        """The mask of logits [h, w] at the crop's size, and its stability; None: it is unstable."""
        settings = self.settings
        enlarged = cv2.resize(logits, size[::-1])
        middle, offset = settings.mask_threshold, settings.stability_score_offset
        sure = np.count_nonzero(enlarged > middle + offset)
        possible = np.count_nonzero(enlarged > middle - offset)
        stability = sure / possible if possible else float("nan")
        if settings.stability_score_thresh > 0 and not stability >= settings.stability_score_thresh:
            return None
        return enlarged > middle, stability

    def _decode(
        self,
        features: ImageFeatures,
        points: np.ndarray,
        size: tuple[int, int],
        multimask: bool,
        mask_prompt: Tensor | None = None,
    ) -> Decoded:
        """Answers to one positive click each; points are x, y, pixels: [P, 2]."""
        height, width = self.network.config.shape(*size)
        device = self.network.device
        scale = torch.tensor([width / size[1], height / size[0]])
        clicks = (torch.from_numpy(points).float() * scale)[:, None].to(device)
        labels = torch.full((len(points), 1), int(PointLabel.POSITIVE), device=device)
        conditioned = self.network.condition(features, None).expand(len(points), -1, -1, -1)
        return self.network.decode(conditioned, features, clicks, labels, mask_prompt, multimask)

    def _refined(
        self, features: ImageFeatures, points: np.ndarray, size: tuple[int, int], logits: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Masks and predicted IoU of a second pass, which the first one's masks prompt together with its points."""
        masks, ious = [], []
        for rows in _slices(len(points), self.settings.points_per_batch):
            earlier = mask_input(logits[rows][:, None])
            decoded = self._decode(features, points[rows], size, False, earlier)
            masks.append(decoded.visible_logits)
            ious.append(decoded.iou)
        return torch.cat(masks), torch.cat(ious)

    def _without_small_regions(
        self, found: _Found, height: int, width: int, on_progress: Callable[[float], object]
    ) -> _Found:
        """Fill small holes and remove small islands; of masks that become alike, one that was unchanged stays."""
        settings, least = self.settings, self.settings.min_mask_region_area
        counts, unchanged, boxes = [], [], []
        for before in found.counts:
            on_progress(1.0)  # many masks of a large image take a while, too
            mask = rle.decode(before, height, width)
            cleaned = without_small_islands(without_small_holes(mask, least), least)
            same = np.array_equal(cleaned, mask)
            counts.append(before if same else rle.encode(cleaned))
            unchanged.append(float(same))
            boxes.append(_box(cleaned))
        if not counts:
            return found
        found = replace(found, counts=counts, boxes=np.array(boxes))
        return found[suppress(found.boxes, np.array(unchanged), max(settings.box_nms_thresh, settings.crop_nms_thresh))]


@dataclass(frozen=True)
class _Found:
    """Masks that were found so far, N of them."""

    counts: list[np.ndarray]
    iou: np.ndarray
    stability: np.ndarray
    boxes: np.ndarray
    """x0, y0, x1, y1 of the outermost pixels: [N, 4]."""
    points: np.ndarray
    crops: list[Crop]

    @classmethod
    def none(cls) -> _Found:
        return cls([], np.empty(0, np.float32), np.empty(0), np.empty((0, 4), np.int64), np.empty((0, 2)), [])

    @classmethod
    def one(
        cls, counts: np.ndarray, iou: float, stability: float, box: np.ndarray, point: np.ndarray, crop: Crop
    ) -> _Found:
        return cls([counts], np.array([iou], np.float32), np.array([stability]), box[None], point[None], [crop])

    @classmethod
    def joined(cls, parts: list[_Found]) -> _Found:
        parts = [cls.none(), *parts]
        return cls(
            [counts for part in parts for counts in part.counts],
            np.concatenate([part.iou for part in parts]),
            np.concatenate([part.stability for part in parts]),
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.points for part in parts]),
            [crop for part in parts for crop in part.crops],
        )

    def __getitem__(self, rows: np.ndarray) -> _Found:
        return _Found(
            [self.counts[i] for i in rows],
            self.iou[rows],
            self.stability[rows],
            self.boxes[rows],
            self.points[rows],
            [self.crops[i] for i in rows],
        )


def _box(mask: np.ndarray) -> np.ndarray:
    """The outermost pixels of a mask: x0, y0, x1, y1; all 0 if it is empty: int64 [4]."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return np.array([x, y, x + width - 1, y + height - 1] if width else [0, 0, 0, 0], np.int64)


def _slices(count: int, length: int) -> Iterator[slice]:
    return (slice(start, start + length) for start in range(0, count, length))


def _check(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:  # NaN as well
        raise ValueError(f"{name} is {value}; it must be from {least} to {most}")
