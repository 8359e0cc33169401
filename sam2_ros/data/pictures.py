"""Pictures that synthetic scenes are painted with: backgrounds, and cut-outs with natural outlines.

A folder is read once (`Pictures.prepare`) into a compact store of raw pixels, which every worker then opens in
milliseconds (`Pictures.open`) and shares through the page cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".tga"}
VIDEOS = {".mp4", ".avi", ".mov", ".mkv", ".webm"}


class Pictures:
    """Backgrounds, uint8 [h, w, 3] RGB, and cut-outs, uint8 [h, w, 4] RGB and straight alpha; both lists may be empty."""

    def __init__(self, backgrounds: list[np.ndarray] | None = None, cutouts: list[np.ndarray] | None = None) -> None:
        self.backgrounds = backgrounds or []
        self.cutouts = cutouts or []

    @classmethod
    def prepare(
        cls,
        store: str | Path,
        backgrounds: Iterable[str | Path] = (),
        cutouts: Iterable[str | Path] = (),
        background_side: int = 640,
        cutout_side: int = 192,
    ) -> Pictures:
        """Reads folders, scales what is larger down to the given long sides (pixels), and writes the folder `store`.

        From `backgrounds` all pictures are taken and ten frames of every video; from `cutouts` the pictures with
        transparency whose outline is neither a full rectangle nor nearly empty. Doubles and unreadable files are
        skipped. Raises ValueError when nothing usable was found.
        """
        store = Path(store)
        store.mkdir(parents=True, exist_ok=True)
        index: list[tuple[int, int, int, int]] = []  # offset, height, width, channels
        seen: set[bytes] = set()
        offset = 0
        with open(store / "pixels.raw", "wb") as pixels:
            for image in _all(_opaque(backgrounds, background_side), _transparent(cutouts, cutout_side)):
                thumbnail = cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA) // 8
                digest = hashlib.sha1(thumbnail.tobytes()).digest()
                if digest in seen:
                    continue
                seen.add(digest)
                pixels.write(np.ascontiguousarray(image).tobytes())
                index.append((offset, *image.shape))
                offset += image.size
        if not index:
            raise ValueError(f"no usable pictures in {[*map(str, backgrounds), *map(str, cutouts)]}")
        np.save(store / "index.npy", np.array(index, np.int64))
        return cls.open(store)

    @classmethod
    def open(cls, store: str | Path) -> Pictures:
        """Opens a prepared store without reading its pixels. Raises FileNotFoundError if it is not one."""
        store = Path(store)
        if not (store / "index.npy").is_file():
            raise FileNotFoundError(f"{store} is no picture store (no index.npy): make one with Pictures.prepare")
        pixels = np.memmap(store / "pixels.raw", np.uint8, "r")
        images = [pixels[o : o + h * w * c].reshape(h, w, c) for o, h, w, c in np.load(store / "index.npy").tolist()]
        return cls([i for i in images if i.shape[2] == 3], [i for i in images if i.shape[2] == 4])


def _all(*sources: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    for source in sources:
        yield from source


def _files(folders: Iterable[str | Path], suffixes: set[str]) -> Iterator[Path]:
    for folder in folders:
        folder = Path(folder)
        if not folder.exists():
            raise FileNotFoundError(f"{folder} does not exist")
        paths = [folder] if folder.is_file() else sorted(folder.rglob("*"))
        yield from (p for p in paths if p.suffix.lower() in suffixes and p.is_file())


def _shrunk(image: np.ndarray, side: int) -> np.ndarray:
    factor = side / max(image.shape[:2])
    if factor >= 1:
        return image
    height, width = (max(1, round(n * factor)) for n in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _opaque(folders: Iterable[str | Path], side: int) -> Iterator[np.ndarray]:
    for path in _files(folders, IMAGES | VIDEOS):
        if path.suffix.lower() in VIDEOS:
            video = cv2.VideoCapture(str(path))
            count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
            for position in sorted({i * count // 10 for i in range(10)}):
                video.set(cv2.CAP_PROP_POS_FRAMES, position)
                ok, image = video.read()
                if ok:
                    yield _shrunk(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), side)
            video.release()
            continue
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None or min(image.shape[:2]) < 96 or cv2.meanStdDev(image)[1].max() < 6:
            continue
        yield _shrunk(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), side)


def _transparent(folders: Iterable[str | Path], side: int) -> Iterator[np.ndarray]:
    for path in _files(folders, {".png", ".webp", ".tga"}):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim != 3 or image.shape[2] != 4:
            continue
        if image.dtype != np.uint8:
            image = (image // 257).astype(np.uint8)
        solid = image[..., 3] > 127
        if not solid.any():
            continue
        x, y, w, h = cv2.boundingRect(solid.astype(np.uint8))
        image, solid = image[y : y + h, x : x + w], solid[y : y + h, x : x + w]
        translucent = np.mean((image[..., 3] > 25) & (image[..., 3] < 230))
        if max(h, w) < 40 or min(h, w) < 10 or not 0.1 < solid.mean() < 0.97 or translucent > 0.25:
            continue
        # Scaled with the colours weighted by alpha, or hidden colours would bleed into the outline.
        alpha = image[..., 3:].astype(np.float32) / 255
        scaled = _shrunk(np.concatenate([image[..., 2::-1] * alpha, alpha * 255], axis=2), side)
        colour = scaled[..., :3] / np.maximum(scaled[..., 3:] / 255, 1e-3)
        yield np.concatenate([np.clip(colour, 0, 255), scaled[..., 3:]], axis=2).round().astype(np.uint8)
