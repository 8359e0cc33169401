"""The user's own video, images or bag as a show."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np

from sam2_ros.data.formats import open_clips
from sam2_ros.data.prompt_text import describe
from sam2_ros.data.video_reader import VideoReader
from sam2_ros.ros.demo.error import DemoError
from sam2_ros.ros.demo.show import MIN_FRAMES, Show
from sam2_ros.tracking.prompt import Prompt, PromptError


def own_show(options: argparse.Namespace, folder: Path) -> Show:
    """The video of --video with the given prompts; images that the camera node cannot play go into a folder.

    Raises:
        DemoError, FileNotFoundError or ValueError: the video cannot be played, or a prompt does not fit.
    """
    if len(options.label) > len(options.prompts):
        raise DemoError(f"{len(options.label)} labels for {len(options.prompts)} objects")
    labelled = zip_longest(options.prompts, options.label, fillvalue="")
    prompts = tuple(replace(prompt, label=label) for prompt, label in labelled)
    video: Path = options.video
    is_bag = video.suffix in (".mcap", ".db3") or any(any(video.glob(file)) for file in ("metadata.yaml", "*.mcap"))
    if options.images and not is_bag:
        raise DemoError(f"--images is a topic of a bag, and {video} is none")
    with _open_bag(video, options.images) if is_bag else VideoReader(video) as reader:
        count = 0
        for count, image in enumerate(reader, start=1):  # counted, because headers of videos may be wrong
            if count == 1:
                _check(prompts, *image.shape[:2])
            if is_bag or options.frames is not None:
                cv2.imwrite(str(folder / f"{count:05d}.png"), image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
            if count == options.frames:
                break
        if count < MIN_FRAMES:
            raise DemoError(f"{video} holds {count} images; a demo takes at least {MIN_FRAMES}")
        return Show(folder if is_bag or options.frames else video, count, reader.fps, prompts)


def _check(prompts: Sequence[Prompt], height: int, width: int) -> None:
    """Checks prompts against the size of the first frame. Raises DemoError."""
    if not prompts:
        raise DemoError(
            "where to click? Give --click X,Y, a pixel of an object on the first frame"
            f" ({width}x{height} pixels); or --box X,Y,WIDTH,HEIGHT or --mask FILE"
        )
    for prompt in prompts:
        try:
            prompt.checked(height, width)
        except PromptError as error:
            raise DemoError(f"{describe(prompt)}: {error}") from error


@dataclass(frozen=True)
class _BagReader:
    """The part of `VideoReader` that is needed here, for a bag."""

    frames: Sequence[np.ndarray]
    fps: float

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.frames)


@contextlib.contextmanager
def _open_bag(bag: Path, topic: str | None) -> Iterator[_BagReader]:
    """The images of a bag. Raises ClipError, a ValueError, if no topic or several topics have images."""
    clip = open_clips(bag, topic)[0]
    yield _BagReader(clip.frames, clip.fps)
