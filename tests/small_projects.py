"""Small annotation projects for tests, with their recordings on the disk."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
from PIL import Image
from small_clips import make_clip

from sam2_ros.annotation.annotated_mask import PROPAGATED, AnnotatedMask
from sam2_ros.annotation.project import SATISFACTORY, Project
from sam2_ros.data.clip import Clip
from sam2_ros.recordings.open_recording import open_recording


def write_images(clip: Clip, folder: Path) -> Path:
    """The images of a clip as a recording: a folder of PNGs."""
    folder.mkdir(parents=True)
    for index, image in enumerate(clip.frames):
        Image.fromarray(np.asarray(image)).save(folder / f"{index:05d}.png")
    return folder


def make_project(
    folder: Path,
    name: str = "walk",
    frames: int = 9,
    annotated: Collection[int] | None = None,
    verified: bool = True,
) -> Path:
    """A project of a recording of its own, `images` beside it, with the true masklets of `small_clips`.

    Args:
        annotated: frames with masks; None: all.
        verified: whether somebody has found them satisfactory.
    """
    clip = make_clip(name, frames)
    recording = open_recording(write_images(clip, folder / "images"))
    with Project.create(folder / name, recording) as project:
        for row, object_id in enumerate(clip.object_ids):
            masks = []
            for frame in range(frames) if annotated is None else annotated:
                truth = clip.masks[frame]
                assert truth is not None
                masks.append(
                    AnnotatedMask(**{**vars(AnnotatedMask.drawn(1, frame, truth[row], 3)), "origin": PROPAGATED})
                )
            number = project.add_object("ann", f"thing {object_id}", masks=masks)
            if verified:
                project.judge("bob", number, SATISFACTORY)
    return folder / name
