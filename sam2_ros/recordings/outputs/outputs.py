"""The outputs of a finished run: each is written completely, or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.outputs import bag, coco, davis, sav, sheet, video
from sam2_ros.recordings.outputs.completely import remove_unfinished, write_completely
from sam2_ros.recordings.outputs.finished_run import FinishedRun
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.recordings.recording import Recording

VERSION = 1
"""Of the outputs' content: with another one, outputs are written again."""

OnProgress = Callable[[int, int, str], None]
"""Called with the number of images that are written, that of all outputs together, and the name of the output."""


@dataclass(frozen=True)
class Output:
    """A kind of output."""

    name: str
    """As users choose it."""
    place: str
    """Its file or folder in the output folder."""
    description: str
    write: Callable[[FinishedRun, Path], list[str]]
    """Writes it to a path, and returns what the user should know."""
    one_size: bool = False
    """Whether all images must be of one size."""


SHEET = Output("sheet", "sheet.jpg", "contact sheet: a dozen moments with their masklets", sheet.write)
"""Is always written."""

FORMATS = {
    output.name: output
    for output in (
        Output("bag", "bag", "ROS 2 bag (MCAP) with the masklets beside the original messages", bag.write),
        Output("davis", "davis", "DAVIS: JPEG images and PNG masks with palette", davis.write, one_size=True),
        Output("sav", "sav", "SA-V: video and JSON with run lengths of every fourth image", sav.write, one_size=True),
        Output("coco", "coco", "COCO: JPEG images and JSON with run lengths, score and track_id", coco.write),
        Output("video", "video.mp4", "video with the masklets drawn over it", video.write),
    )
}
"""The formats that can be chosen, by name."""


@dataclass(frozen=True)
class Written:
    """What `write_outputs` has done."""

    paths: list[Path]
    """All outputs, those that were complete before as well."""
    new: list[Path]
    """Those that were written now."""
    notes: list[str]
    """What the user should know, a sentence each."""


def check_outputs(
    out: Path, formats: Iterable[str], object_ids: Collection[int], store: MaskletStore | None = None
) -> None:
    """Check that outputs can be written, before the work begins.

    Args:
        out: the output folder, which need not exist.
        formats: names in FORMATS.
        object_ids: IDs of all objects, as far as they are known.
        store: that of this run, if there is one already. Its own earlier outputs may be replaced.

    Raises:
        ValueError: a format is unknown, or cannot hold these objects.
        FileExistsError: there is something else in an output's place.
    """
    for output in _chosen(formats):
        if output.name == "davis" and (problem := davis.check_ids(object_ids)):
            raise ValueError(problem)
        path = out / output.place
        if (path.exists() or path.is_symlink()) and (store is None or store.made_of(output.place) is None):
            problem = "exists already and was not made by this run; delete it, or choose another folder"
            raise FileExistsError(errno.EEXIST, problem, str(path))


def write_outputs(
    recording: Recording,
    store: MaskletStore,
    prompts: Sequence[ScheduledPrompt],
    out: Path,
    formats: Iterable[str],
    originals: bool = True,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Written:
    """Write the outputs of a run whose passes are done, and a contact sheet.

    Each is written into a folder beside it and moved to its place when it is complete. An output that an earlier call
    has written of the same run is left as it is; one of the same run with other options is replaced. After an error
    the others are there; the next call writes what is missing.

    Args:
        recording: the recording.
        store: its masklets.
        prompts: all prompts that were applied.
        out: the output folder.
        formats: names in FORMATS.
        originals: whether a bag also gets the recording's messages or images.
        on_progress: see `OnProgress`.

    Raises:
        ValueError: a format is unknown, or cannot hold this run.
        ClipError: the recording is damaged.
        OSError: the disk is full, or the folder cannot be written. The message says what to do.
    """
    chosen = _chosen(formats)
    check_outputs(out, formats, store.labels, store)
    remove_unfinished(out)
    problems = {output.name: problem for output in chosen if (problem := _problem(output, store))}
    content = _content(store, prompts)
    made_of = {output.name: json.dumps([VERSION, content, originals or output.name != "bag"]) for output in chosen}
    missing = [
        output
        for output in chosen
        if output.name not in problems
        and not ((out / output.place).exists() and store.made_of(output.place) == made_of[output.name])
    ]
    frames = {
        output.name: store.frame_count if output is not SHEET else min(sheet.MOMENTS, store.frame_count)
        for output in missing
    }
    total, done, notes = sum(frames.values()), 0, list[str]()
    for output in missing:
        progress = _Progress(done, total, output.name, on_progress)
        run = FinishedRun(recording, store, prompts, originals, progress)
        note = partial(store.note_output, output.place, made_of[output.name])
        notes += write_completely(out / output.place, partial(output.write, run), note)
        done += frames[output.name]
    on_progress(done, total, "")
    if problems:
        raise ValueError("; ".join(problems.values()))
    return Written([out / output.place for output in chosen], [out / output.place for output in missing], notes)


def _chosen(formats: Iterable[str]) -> list[Output]:
    """The formats, in the order of FORMATS, and the contact sheet."""
    names = set(formats)
    if unknown := sorted(names - FORMATS.keys()):
        raise ValueError(f"there is no format {unknown[0]}; choose {', '.join(FORMATS)}")
    return [*(output for name, output in FORMATS.items() if name in names), SHEET]


def _problem(output: Output, store: MaskletStore) -> str:
    """Why the images of a run cannot be written; empty: they can."""
    sizes = store.sizes
    if not sizes:
        return f"{output.name}: no image could be decoded"
    if not output.one_size or len(sizes) == 1:
        return ""
    named = ", ".join(f"{width} x {height}" for height, width in sizes[:4])
    return f"{output.name}: images must have one size, here are {named}; choose bag, coco or video"


def _content(store: MaskletStore, prompts: Sequence[ScheduledPrompt]) -> str:
    """A hash of what outputs are made of, apart from the recording, of which the store is."""
    content = hashlib.sha256(json.dumps(store.summary).encode())
    for scheduled in prompts:
        prompt = scheduled.prompt
        content.update(
            repr([scheduled.frame, prompt.object_id, prompt.clicks, prompt.box, prompt.label, prompt.replace]).encode()
        )
        if prompt.mask is not None:
            content.update(np.packbits(prompt.mask.astype(bool)).tobytes())
    return content.hexdigest()


class _Progress:
    """Counts the frames of one output.

    Args:
        before: number of images of outputs before it.
        total: of all outputs together.
    """

    def __init__(self, before: int, total: int, name: str, on_progress: OnProgress) -> None:
        self._done, self._total, self._name, self._on_progress = before, total, name, on_progress
        on_progress(before, total, name)

    def __call__(self) -> None:
        self._done += 1
        self._on_progress(self._done, self._total, self._name)
