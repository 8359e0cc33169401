"""Pictures of predicted masks: contact sheets and overlays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.everything import FOUND_IOU, Searched
from sam2_ros.evaluation.image import Segmented
from sam2_ros.tracking.contact_sheet import contact_sheet, thumbnail
from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.object_colours import ObjectColours
from sam2_ros.tracking.overlay import Overlay, draw_masks

MAX_FRAMES = 8
"""Number of frames on a contact sheet."""
MAX_IMAGES = 4
"""Number of single images on a contact sheet, each of which is shown twice."""
MASK_TINT = 0.4
"""Share of the colour in automatic masks, which cover most of an image."""
SUBTITLE = "The truth is outlined in white."


class Gallery:
    """Draws a selection of a clip's frames on a contact sheet, and optionally all of them as overlays.

    Args:
        clip: the clip.
        folder: folder of <clip>.png and overlays/<clip>/00000.png.
        overlays: draw and write every frame.
    """

    def __init__(self, clip: Clip, folder: Path, overlays: bool = False) -> None:
        self._clip, self._folder, self._overlays = clip, folder, overlays
        self._selected = np.linspace(0, len(clip) - 1, MAX_FRAMES).round().tolist()
        self._pictures: dict[int, np.ndarray] = {}
        self._overlay = Overlay()

    def add(self, index: int, truth: np.ndarray | None, masklets: Sequence[Masklet]) -> None:
        """Add the next frame: its true masks, bool [N, H, W] or None, and the predicted ones. Raises OSError."""
        shown = bool(self._selected) and index >= self._selected[0]
        if (truth is None or not shown) and not self._overlays:
            return
        image = self._clip.frames[index]
        if truth is not None and shown:
            self._selected = [selected for selected in self._selected if selected > index]
            self._pictures[index] = outlined(thumbnail(image, masklets, self._overlay), truth)
        if self._overlays:
            picture = self._overlay.draw(image, masklets)
            write_png(self._folder / "overlays" / self._clip.name / f"{index:05d}.png", picture)

    def save(self, quality: str, subtitle: str, captions: Mapping[int, str]) -> None:
        """Write the contact sheet; captions by frame index. Raises OSError."""
        if self._pictures:
            words = [f"frame {index}    {captions.get(index, '')}".rstrip() for index in self._pictures]
            title = f"{self._clip.name}    {quality}"
            sheet = contact_sheet(list(self._pictures.values()), words, title, f"{subtitle} {SUBTITLE}")
            write_png(self._folder / f"{self._clip.name}.png", sheet)


class ClickedGallery:
    """Draws single images with their clicks: a selection on a contact sheet, optionally all as overlays.

    Arguments are those of `Gallery`.
    """

    def __init__(self, clip: Clip, folder: Path, overlays: bool = False) -> None:
        self._clip, self._folder, self._overlays = clip, folder, overlays
        self._images: list[list[Segmented]] = []

    def add(self, objects: list[Segmented]) -> None:
        """Add the next image with its objects. Raises OSError."""
        if len(self._images) < MAX_IMAGES:
            self._images.append(objects)
        if self._overlays:
            index = objects[0].frame
            picture = _clicked(np.array(self._clip.frames[index]), objects, -1)
            write_png(self._folder / "overlays" / self._clip.name / f"{index:05d}.png", picture)

    def save(self) -> None:
        """Write the contact sheet: masks after one click, below them masks after all clicks. Raises OSError."""
        pictures, captions = [], []
        for number, words in ((0, "1 click"), (-1, "all clicks")):
            for objects in self._images:
                index = objects[0].frame
                truth = self._clip.masks[index]
                assert truth is not None
                picture = outlined(thumbnail(self._clip.frames[index], ()), truth)
                pictures.append(_clicked(picture, objects, number))
                miou = np.mean([segmented.score.clicks[number] for segmented in objects])
                captions.append(f"frame {index}    {words}: mIoU {100 * miou:.0f}")
        if pictures:
            sheet = contact_sheet(pictures, captions, self._clip.name, SUBTITLE, len(self._images))
            write_png(self._folder / f"{self._clip.name}.png", sheet)


class SearchedGallery:
    """Draws single images with their automatic masks: a selection on a contact sheet, optionally all as overlays.

    Arguments are those of `Gallery`.
    """

    def __init__(self, clip: Clip, folder: Path, overlays: bool = False) -> None:
        self._clip, self._folder, self._overlays = clip, folder, overlays
        self._images: list[Searched] = []

    def add(self, searched: Searched) -> None:
        """Add the next image. Raises OSError."""
        if len(self._images) < MAX_IMAGES:
            self._images.append(searched)
        if self._overlays:
            picture = _with_masks(self._clip.frames[searched.frame], [one.mask for one in searched.masks])
            write_png(self._folder / "overlays" / self._clip.name / f"{searched.frame:05d}.png", picture)

    def save(self) -> None:
        """Write the contact sheet: images with the truth, all masks, those that match a true object. Raises OSError."""
        if not self._images:
            return
        rows: list[list[np.ndarray]] = [[], [], []]
        captions: list[list[str]] = [[], [], []]
        for searched in self._images:
            image, score = thumbnail(self._clip.frames[searched.frame], ()), searched.score
            masks = [_resized(one.mask, image.shape[:2]) for one in searched.masks]
            matching = [mask for mask, iou in zip(masks, score.iou, strict=True) if iou.max() > FOUND_IOU]
            rows[0].append(outlined(image.copy(), searched.truth))
            rows[1].append(_with_masks(image, masks))
            rows[2].append(outlined(_with_masks(image, matching), searched.truth))
            captions[0].append(f"frame {searched.frame}    {len(score.object_ids)} true objects")
            captions[1].append(f"{len(masks)} masks")
            captions[2].append(f"found: {score.found}    false masks: {score.false}")
        sheet = contact_sheet([*chain(*rows)], [*chain(*captions)], self._clip.name, SUBTITLE, len(self._images))
        write_png(self._folder / f"{self._clip.name}.png", sheet)


def _with_masks(image: np.ndarray, masks: Sequence[np.ndarray]) -> np.ndarray:
    """An image with masks, bool [H, W], the smallest on top: uint8 [H, W, 3]."""
    seen = {i: mask for i, mask in enumerate(sorted(masks, key=np.count_nonzero, reverse=True)) if mask.any()}
    picture = np.array(image)
    draw_masks(picture, seen, ObjectColours().of(picture, seen), MASK_TINT)
    return picture


def _clicked(picture: np.ndarray, objects: Sequence[Segmented], number: int) -> np.ndarray:
    """Draw the masks after a click into an image of any size, and the clicks: positive green, negative red."""
    masks = {segmented.object_id: _resized(segmented.masks[number], picture.shape[:2]) for segmented in objects}
    seen = {object_id: mask for object_id, mask in masks.items() if mask.any()}
    draw_masks(picture, seen, ObjectColours().of(picture, seen))
    for segmented in objects:
        scale = picture.shape[1] / segmented.masks[0].shape[1]
        for x, y, positive in segmented.clicks[:1] if number == 0 else segmented.clicks:
            centre = round((x + 0.5) * scale), round((y + 0.5) * scale)
            cv2.circle(picture, centre, 5, (255, 255, 255), -1, cv2.LINE_AA)
            cv2.circle(picture, centre, 3, (0, 160, 60) if positive else (220, 30, 30), -1, cv2.LINE_AA)
    return picture


def _resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(mask.view(np.uint8) * 255, size[::-1], interpolation=cv2.INTER_AREA) > 127


def outlined(picture: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Draw thin white outlines of true masks, bool [N, H, W], into a picture, uint8 [h, w, 3], and return it."""
    for mask in truth:
        small = cv2.resize(mask.view(np.uint8), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        contours, _ = cv2.findContours(small, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(picture, contours, -1, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write a picture, uint8 [H, W, 3] RGB. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert ok
    path.write_bytes(data.tobytes())
