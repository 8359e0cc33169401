"""Contact sheet of clips: frames of each in a row, objects tinted."""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("scenes")  # before the imports that would fail

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from rich.progress import track

from sam2_ros.command_line import CommandParser
from sam2_ros.data.clip import Clip
from sam2_ros.data.formats import open_clips
from sam2_ros.data.label_values import MEANINGS
from sam2_ros.scenes.photo_scenes import PhotoScenes
from sam2_ros.scenes.photographs import Photographs
from sam2_ros.scenes.pictures import Pictures
from sam2_ros.scenes.simulation.mujoco_scenes import MujocoScenes
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.scenes.table_scenes import TableScenes
from sam2_ros.tracking.object_colours import colour

EXAMPLES = """
%(prog)s sheet.png --scenes simulated --seeds 0 1 2 3
%(prog)s sheet.png --clips DAVIS/ --seeds 0 5
"""
GAP = 4  # pixels between pictures
SCENES = {"synthetic": SyntheticScenes, "tables": TableScenes, "simulated": MujocoScenes}
"""Kinds of scenes that need no data set."""


def outlined(image: np.ndarray, masks: np.ndarray | None, object_ids: Sequence[int], tint: float = 0.3) -> np.ndarray:
    """Tint and outline masks, bool [N, H, W], on an image, uint8 [H, W, 3] RGB, in the objects' colours."""
    canvas = image.copy()
    for object_id, mask in zip(object_ids, () if masks is None else masks, strict=masks is not None):
        canvas[mask] = ((1 - tint) * canvas[mask] + tint * np.array(colour(object_id))).astype(np.uint8)
        contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(canvas, contours, -1, colour(object_id), max(1, min(image.shape[:2]) // 220), cv2.LINE_AA)
    return canvas


def sheet(clips: Sequence[Clip], columns: int = 6, side: int = 256, plain: bool = False) -> np.ndarray:
    """Draw a row for each clip, of `columns` evenly spaced frames `side` pixels wide: uint8 [height, width, 3] RGB.

    With `plain`, a row without masks precedes it.
    """
    rows = []
    for clip in clips:
        chosen = np.linspace(0, len(clip) - 1, columns).round().astype(int).tolist()
        frames = [clip.frames[i] for i in chosen]
        drawn = [outlined(image, clip.masks[i], clip.object_ids) for image, i in zip(frames, chosen, strict=True)]
        for images in (frames, drawn) if plain else (drawn,):
            size = (side, round(side * images[0].shape[0] / images[0].shape[1]))
            smaller = cv2.INTER_AREA if side < images[0].shape[1] else cv2.INTER_CUBIC
            small = [cv2.resize(image, size, interpolation=smaller) for image in images]
            small = [cv2.copyMakeBorder(p, 0, GAP, 0, GAP, cv2.BORDER_CONSTANT, value=(255,) * 3) for p in small]
            rows.append(np.concatenate(small, axis=1))
    return np.concatenate(rows)[:-GAP, :-GAP]


def main() -> int:
    parser = CommandParser("sam2_ros.scenes.sheet", __doc__.splitlines()[0], EXAMPLES, "%(prog)s OUT [options]")
    parser.add_argument("out", type=Path, help="image to write (.png, .jpg)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--scenes", choices=SCENES, default="synthetic", help="scenes to generate")
    photographs = "make scenes of these photographs instead: a data set with masks of single images"
    source.add_argument("--photographs", metavar="PATH", help=photographs)
    source.add_argument("--clips", help="data set or bag to show instead, in any layout that sam2_ros.data reads")
    images = "image topic of bags with several; folder of the images a JSON lists"
    parser.add_argument("--images", metavar="TOPIC|FOLDER", help=images)
    parser.add_argument("--masklets", metavar="TOPIC", help=argparse.SUPPRESS)
    values = "of mask files: one object, or an object's ID each"
    parser.add_argument("--mask-values", choices=MEANINGS, help=values)
    parser.add_argument(
        "--seeds", type=int, nargs="+", metavar="N", help="of scenes, or numbers of clips (the first 4)"
    )
    parser.add_argument("--pictures", help="a store of sam2_ros.scenes.pictures to paint with")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 256), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--frames", type=int, default=24, help="of a scene (%(default)s)")
    parser.add_argument("--columns", type=int, default=6, metavar="N", help="frames to show (%(default)s)")
    parser.add_argument("--side", type=int, help="width of a frame on the sheet, pixels (default: its own)")
    parser.add_argument("--plain", action="store_true", help="show frames without masks, too")
    options = parser.parse_args()
    if options.columns < 1:
        parser.error("--columns must be 1 or more")
    if options.out.suffix.lower() not in Image.registered_extensions():
        parser.error(f"{options.out}: the name of an image ends in .png or .jpg")
    try:
        seeds = list(range(4)) if options.seeds is None else options.seeds
        if options.clips:
            available = open_clips(options.clips, options.images, options.masklets, options.mask_values)
            if options.seeds is None:
                seeds = seeds[: len(available)]
            elif wrong := set(seeds) - set(range(len(available))):
                raise ValueError(f"there is no clip {min(wrong)}; they are 0 to {len(available) - 1} (--seeds)")
            make = available.__getitem__
        else:
            if min(seeds) < 0:
                raise ValueError("seeds cannot be negative (--seeds)")
            pictures = Pictures.open(options.pictures) if options.pictures else None
            settings = replace(SceneSettings(), height=options.size[0], width=options.size[1], frames=options.frames)
            if options.photographs:
                make = PhotoScenes(settings, Photographs.open(options.photographs), pictures).scene
            else:
                make = SCENES[options.scenes](settings, pictures).scene
        start = time.perf_counter()
        clips = [make(seed) for seed in track(seeds, "clips", transient=True)]
        took = time.perf_counter() - start
        picture = sheet(clips, options.columns, options.side or clips[0].frames[0].shape[1], options.plain)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(options.out, quality=90)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        parser.exit(1, f"error: {error}\n")
    print(f"{options.out}: {len(clips)} clips, {1000 * took / sum(map(len, clips)):.0f} ms a frame")
    return 0


if __name__ == "__main__":
    sys.exit(main())
