"""Pictures for synthetic scenes: backgrounds, and cut-outs with natural outlines.

Folders are read once (`Pictures.prepare`, or the command line) into a compact store of raw pixels, which every worker
opens in milliseconds (`Pictures.open`) and shares through the page cache:

    python -m sam2_ros.scenes.pictures STORE --backgrounds PHOTOS TEXTURES --cutouts STAMPS CLIPART BAG
"""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("pictures")  # before the imports that would fail

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from sam2_ros.command_line import CommandParser
from sam2_ros.data.clip import Clip
from sam2_ros.data.clips import ClipError, undamaged
from sam2_ros.data.formats import open_clips
from sam2_ros.data.natural_order import natural
from sam2_ros.data.video import VideoFrames
from sam2_ros.scenes.rendering import sprite

IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".tga"}
VIDEOS = {".mp4", ".avi", ".mov", ".mkv", ".webm"}


class Pictures:
    """Backgrounds and cut-outs, each a list of sources (the folders they come from), each a list of pictures.

    Backgrounds are uint8 [h, w, 3] RGB; cut-outs uint8 [h, w, 4], RGB and straight alpha. Sources are drawn
    equally often, whatever their number of pictures. Both lists may be empty.
    """

    def __init__(
        self, backgrounds: list[list[np.ndarray]] | None = None, cutouts: list[list[np.ndarray]] | None = None
    ) -> None:
        self.backgrounds = [source for source in backgrounds or [] if source]
        self.cutouts = [source for source in cutouts or [] if source]

    def background(self, rng: np.random.Generator) -> np.ndarray:
        """A random background."""
        return _drawn(rng, self.backgrounds)

    def cutout(self, rng: np.random.Generator) -> np.ndarray:
        """A random cut-out."""
        return _drawn(rng, self.cutouts)

    @classmethod
    def prepare(
        cls,
        store: str | Path,
        backgrounds: Sequence[str | Path] = (),
        cutouts: Sequence[str | Path] = (),
        background_side: int = 1024,
        cutout_side: int = 256,
    ) -> Pictures:
        """Read folders, scale larger pictures down to the given long sides (pixels), and write the folder `store`.

        From each folder of `backgrounds` all opaque pictures are taken and ten frames of every video. A folder of
        `cutouts` may be a data set or bag of any layout that `open_clips` knows: objects are cut out of three frames
        of each clip, along their masks. Of other folders the pictures with transparency are taken. Duplicates, cut-outs
        that are cropped, rectangular or nearly empty, pictures of mostly one flat colour, and unreadable files are
        skipped. Raises FileNotFoundError for a missing folder and ValueError when nothing usable was found.
        """
        if not backgrounds and not cutouts:
            raise ValueError("no folders: give backgrounds or cut-outs")
        store = Path(store)
        if (store / "index.npy").exists():
            raise FileExistsError(f"{store} holds pictures already: choose another folder, or remove it first")
        for folder in (*backgrounds, *cutouts):
            if not Path(folder).exists():
                raise FileNotFoundError(f"{folder} does not exist")
        store.mkdir(parents=True, exist_ok=True)
        index: list[tuple[int, int, int, int, int]] = []  # offset, height, width, channels, source
        seen: set[bytes] = set()
        offset = 0
        jobs = [(_opaque, folder, background_side) for folder in backgrounds]
        jobs += [(_cutouts, folder, cutout_side) for folder in cutouts]
        with open(store / "pixels.raw", "wb") as pixels:
            for source, (read, folder, side) in enumerate(jobs):
                for image in read(Path(folder), side):
                    digest = (cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA) // 8).tobytes()
                    if digest in seen:
                        continue
                    seen.add(digest)
                    pixels.write(np.ascontiguousarray(image).tobytes())
                    index.append((offset, *image.shape, source))
                    offset += image.size
        if not index:
            (store / "pixels.raw").unlink()
            raise ValueError(f"there is no usable picture in {', '.join(str(folder) for _, folder, _ in jobs)}")
        np.save(store / "index.npy", np.array(index, np.int64))
        return cls.open(store)

    @classmethod
    def open(cls, store: str | Path) -> Pictures:
        """Open a prepared store without reading its pixels. Raises FileNotFoundError if it is not one."""
        store = Path(store)
        if not (store / "index.npy").is_file():
            make = f"python -m sam2_ros.scenes.pictures {store} --backgrounds FOLDER"
            raise FileNotFoundError(f"{store} is no picture store (no index.npy). To make one: {make}")
        pixels = np.asarray(np.memmap(store / "pixels.raw", np.uint8, "r"))
        backgrounds: dict[int, list[np.ndarray]] = {}
        cutouts: dict[int, list[np.ndarray]] = {}
        for offset, h, w, c, source in np.load(store / "index.npy").tolist():
            image = pixels[offset : offset + h * w * c].reshape(h, w, c)
            (backgrounds if c == 3 else cutouts).setdefault(source, []).append(image)
        return cls(list(backgrounds.values()), list(cutouts.values()))


def _drawn(rng: np.random.Generator, sources: list[list[np.ndarray]]) -> np.ndarray:
    source = sources[int(rng.integers(len(sources)))]
    return source[int(rng.integers(len(source)))]


def _files(folder: Path, suffixes: set[str]) -> list[Path]:
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*"), key=natural)
    return [path for path in paths if path.suffix.lower() in suffixes and path.is_file()]


def _shrunk(image: np.ndarray, side: int) -> np.ndarray:
    factor = side / max(image.shape[:2])
    if factor >= 1:
        return image
    height, width = (max(1, round(n * factor)) for n in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _opaque(folder: Path, side: int) -> Iterator[np.ndarray]:
    for path in _files(folder, IMAGES | VIDEOS):
        if path.suffix.lower() in VIDEOS:
            with suppress(ClipError):
                video = VideoFrames(path)
                for position in sorted({i * len(video) // 10 for i in range(10)}):
                    with suppress(ClipError):
                        yield _shrunk(video[position], side)
            continue
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None or min(image.shape[:2]) < 96 or image.dtype != np.uint8:
            continue
        if image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        if image.shape[2] == 4:
            if image[..., 3].min() < 250:
                continue
            image = image[..., :3]
        image = _shrunk(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), side)
        sample = image[::4, ::4].astype(np.int16)
        if (np.abs(sample - np.median(sample, axis=(0, 1))).max(2) < 4).mean() > 0.5:
            continue
        yield image


def _cutouts(folder: Path, side: int) -> Iterator[np.ndarray]:
    """RGB and straight alpha, uint8 [h, w, 4]."""
    try:
        clips = open_clips(folder)
    except ClipError:  # it has no masks: a folder of pictures
        pictures = _transparent(folder)
    else:
        pictures = (cut for clip in undamaged(clips, []) for cut in _cut_along_masks(clip))
    for image in pictures:
        cut = _trimmed(image, side)
        if cut is not None:
            yield cut


def _cut_along_masks(clip: Clip) -> Iterator[np.ndarray]:
    """Cut out objects that are whole in the image, on up to three annotated frames."""
    annotated = [index for index, masks in enumerate(clip.masks) if masks is not None]
    for index in annotated[:: max(1, -(-len(annotated) // 3))]:
        image = clip.frames[index]
        for mask in clip.masks[index]:
            if not (mask[[0, -1]].any() or mask[:, [0, -1]].any()):
                alpha = cv2.GaussianBlur(mask * np.uint8(255), (3, 3), 0)
                yield np.dstack([image, np.where(mask, alpha, 0).astype(np.uint8)])


def _transparent(folder: Path) -> Iterator[np.ndarray]:
    for path in _files(folder, {".png", ".webp", ".tga"}):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim != 3 or image.shape[2] != 4:
            continue
        if image.dtype != np.uint8:
            image = (image // 257).astype(np.uint8)
        yield cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA)


def _trimmed(image: np.ndarray, side: int) -> np.ndarray | None:
    """A cut-out without its empty margin, its longer side at most `side`; None if unusable."""
    solid = image[..., 3] > 127
    if not solid.any():
        return None
    x, y, w, h = cv2.boundingRect(solid.astype(np.uint8))
    image, solid = image[y : y + h, x : x + w], solid[y : y + h, x : x + w]
    translucent = np.mean((image[..., 3] > 25) & (image[..., 3] < 230))
    if max(h, w) < 40 or min(h, w) < 10 or not 0.1 < solid.mean() < 0.97 or translucent > 0.25:
        return None
    # Scaled with premultiplied colours, or hidden colours would bleed into the outline.
    scaled = _shrunk(sprite(cv2.cvtColor(image, cv2.COLOR_RGBA2RGB), cv2.extractChannel(image, 3)), side)
    alpha = scaled[..., 3:].astype(np.float32) / 255
    colour = np.clip(scaled[..., :3] / np.maximum(alpha, 1e-3), 0, 255)
    return np.concatenate([colour.round().astype(np.uint8), scaled[..., 3:]], axis=2)


def main() -> int:
    examples = "%(prog)s store --backgrounds photos textures --cutouts stamps clipart run1"
    parser = CommandParser("sam2_ros.scenes.pictures", "Prepares pictures for synthetic scenes.", examples)
    parser.add_argument("store", help="the folder to write")
    parser.add_argument("--backgrounds", nargs="*", default=[], help="folders of pictures and videos")
    parser.add_argument(
        "--cutouts", nargs="*", default=[], help="folders of pictures with transparency; data sets or bags with masks"
    )
    options = parser.parse_args()
    try:
        pictures = Pictures.prepare(options.store, options.backgrounds, options.cutouts)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    for kind, sources in (("backgrounds", pictures.backgrounds), ("cut-outs", pictures.cutouts)):
        print(f"{kind}: {' + '.join(str(len(source)) for source in sources) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
