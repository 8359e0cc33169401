"""Pictures of what was answered to a clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from sam2_ros.data.clip import Clip
from sam2_ros.evaluation.contact_sheet import contact_sheet, thumbnail
from sam2_ros.evaluation.image import Segmented
from sam2_ros.tracking.masklet import Masklet
from sam2_ros.tracking.object_colours import ObjectColours
from sam2_ros.tracking.overlay import Overlay, draw_masks

SHOWN = 8  # frames on a contact sheet
IMAGES_SHOWN = 4  # single images on one, twice
SUBTITLE = "The truth is outlined in white."


class Gallery:
    """Draws some of a clip's frames on a contact sheet, and all of them as overlays where wanted.

    Args:
        folder: where <clip>.png goes, and overlays/<clip>/00000.png.
        overlays: whether every frame is drawn and written.
    """

    def __init__(self, clip: Clip, folder: Path, overlays: bool = False) -> None:
        self._clip, self._folder, self._overlays = clip, folder, overlays
        self._wanted = np.linspace(0, len(clip) - 1, SHOWN).round().tolist()
        self._pictures: dict[int, np.ndarray] = {}
        self._overlay = Overlay()

    def see(self, index: int, truth: np.ndarray | None, masklets: Sequence[Masklet]) -> None:
        """The next frame, its truth, bool [N, H, W] or None, and what was answered. Raises OSError."""
        shown = bool(self._wanted) and index >= self._wanted[0]
        if (truth is None or not shown) and not self._overlays:
            return
        image = self._clip.frames[index]
        if truth is not None and shown:
            self._wanted = [wanted for wanted in self._wanted if wanted > index]
            self._pictures[index] = outlined(thumbnail(image, masklets, self._overlay), truth)
        if self._overlays:
            picture = self._overlay.draw(image, masklets)
            write_png(self._folder / "overlays" / self._clip.name / f"{index:05d}.png", picture)

    def hang(self, quality: str, subtitle: str, captions: Mapping[int, str]) -> None:
        """Writes the contact sheet, with what is said of some frames, by index. Raises OSError."""
        if self._pictures:
            words = [f"frame {index}    {captions.get(index, '')}".rstrip() for index in self._pictures]
            title = f"{self._clip.name}    {quality}"
            sheet = contact_sheet(list(self._pictures.values()), words, title, f"{subtitle} {SUBTITLE}")
            write_png(self._folder / f"{self._clip.name}.png", sheet)


class ClickedGallery:
    """Draws single images with their clicks: some on a contact sheet, all as overlays where wanted.

    Args: as of `Gallery`.
    """

    def __init__(self, clip: Clip, folder: Path, overlays: bool = False) -> None:
        self._clip, self._folder, self._overlays = clip, folder, overlays
        self._images: list[list[Segmented]] = []

    def see(self, objects: list[Segmented]) -> None:
        """The objects of the next image. Raises OSError."""
        if len(self._images) < IMAGES_SHOWN:
            self._images.append(objects)
        if self._overlays:
            index = objects[0].frame
            picture = _clicked(np.array(self._clip.frames[index]), objects, -1)
            write_png(self._folder / "overlays" / self._clip.name / f"{index:05d}.png", picture)

    def hang(self) -> None:
        """Writes the contact sheet: masks after one click, and below after all of them. Raises OSError."""
        pictures, captions = [], []
        for number, words in ((0, "1 click"), (-1, "all clicks")):
            for objects in self._images:
                index = objects[0].frame
                truth = self._clip.masks[index]
                assert truth is not None
                picture = outlined(thumbnail(self._clip.frames[index], ()), truth)
                pictures.append(_clicked(picture, objects, number))
                miou = np.mean([one.score.clicks[number] for one in objects])
                captions.append(f"frame {index}    {words}: mIoU {100 * miou:.0f}")
        if pictures:
            sheet = contact_sheet(pictures, captions, self._clip.name, SUBTITLE, len(self._images))
            write_png(self._folder / f"{self._clip.name}.png", sheet)


def _clicked(picture: np.ndarray, objects: Sequence[Segmented], number: int) -> np.ndarray:
    """Draws into an image of any size the masks after a click, and the clicks: red ones are negative."""
    masks = {one.object_id: _resized(one.masks[number], picture.shape[:2]) for one in objects}
    seen = {object_id: mask for object_id, mask in masks.items() if mask.any()}
    draw_masks(picture, seen, ObjectColours().of(picture, seen))
    for one in objects:
        scale = picture.shape[1] / one.masks[0].shape[1]
        for x, y, positive in one.clicks[:1] if number == 0 else one.clicks:
            centre = round((x + 0.5) * scale), round((y + 0.5) * scale)
            cv2.circle(picture, centre, 5, (255, 255, 255), -1, cv2.LINE_AA)
            cv2.circle(picture, centre, 3, (0, 160, 60) if positive else (220, 30, 30), -1, cv2.LINE_AA)
    return picture


def _resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(mask.view(np.uint8) * 255, size[::-1], interpolation=cv2.INTER_AREA) > 127


def outlined(picture: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Draws thin white outlines around true masks, bool [N, H, W], into a picture, uint8 [h, w, 3], and returns it."""
    for mask in truth:
        small = cv2.resize(mask.view(np.uint8), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        contours, _ = cv2.findContours(small, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(picture, contours, -1, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def write_png(path: Path, picture: np.ndarray) -> None:
    """Writes a picture, uint8 [H, W, 3] RGB. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert ok
    path.write_bytes(data.tobytes())
