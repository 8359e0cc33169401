"""A run of `sam2_ros track`: from the options to the files."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from PIL import Image
from rich.console import Console

from sam2_ros.acceleration import Network
from sam2_ros.commands.errors import ERRORS
from sam2_ros.commands.loaded_model import loaded_model
from sam2_ros.commands.progress import Progress
from sam2_ros.commands.stretch import stretch
from sam2_ros.commands.tracking_table import tracking_table
from sam2_ros.data.prompt_file import read_prompts
from sam2_ros.data.timed_prompt import TimedPrompt
from sam2_ros.model.sam2 import SAM2
from sam2_ros.recordings.bag_prompts import choose_topic, read_bag_prompts
from sam2_ros.recordings.bag_recording import BagRecording
from sam2_ros.recordings.everything import AutomaticMaskletSettings
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.outputs.outputs import FORMATS, SHEET, check_outputs, write_outputs
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.recordings.recording import Recording
from sam2_ros.recordings.run import run as run_over
from sam2_ros.recordings.run_store import STORE, Prompted, Search, open_store, weights_digest
from sam2_ros.recordings.schedule import schedule
from sam2_ros.recordings.track import lost_objects
from sam2_ros.system.error_text import one_line

NAMED = 5
"""How many of several things are named."""


def run(options: argparse.Namespace) -> int:
    """Track as the options say.

    Returns:
        The exit status: 0; 1 if images were skipped; 2 after an error; 130 if it was interrupted.
    """
    console = Console()
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large pictures are none; bombs are refused
    try:
        skipped = _run(options, console)
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on where it was")
        return 130
    except ERRORS as error:
        print(f"track: {one_line(error)}", file=sys.stderr)
        return 2
    return 1 if skipped else 0


def _run(options: argparse.Namespace, console: Console) -> int:
    """Returns the number of images that were skipped."""
    _check_apart(options.recording, options.out)
    whole = open_recording(options.recording, options.images, options.fps)
    for notice in whole.notices:
        _note(console, notice)
    recording = stretch(whole, options.begin, options.end)
    out: Path = options.out
    network = cache(lambda: loaded_model(options))  # what is wrong with options is said before it is loaded
    prompts, left_out = _prompts(options, recording, network, console)
    backward = left_out is None if options.backward is None else options.backward
    model = network()
    what = Search(_search(options), options.max_objects) if options.everything else Prompted(prompts, backward)
    weights = weights_digest(model, options.checkpoint)
    with open_store(out, recording, what, model, weights, options.restart) as store:
        check_outputs(out, options.format, {one.prompt.object_id for one in prompts}, store)
        with Progress(console) as progress:
            run_over(recording, what, model, store, progress.on_pass)
            originals = not options.masklets_only
            written = write_outputs(
                recording, store, prompts, out, options.format, originals, on_progress=progress.on_output
            )
        for note in written.notes:
            _note(console, note)
        for object_id, last in lost_objects(store).items() if not options.everything else ():
            _note(console, f"object {object_id} was given up after image {last}: the GPU was out of memory")
        rejected = [f"object {object_id} {reason}" for object_id, reason in store.rejected.items()]
        _note_several(console, "masklets found and rejected", rejected)
        skipped = _note_damaged(console, recording, store)
        if store.labels:
            console.print(tracking_table(store, recording))
        else:
            _note(console, "no object was found that stays; a larger model (--model) finds more")
        if left_out:
            console.print(
                f"prompts of the bag: {len(prompts)} applied, {left_out} left out", highlight=False, markup=False
            )
        if not progress.is_new and not written.new:
            said = f"All of this was complete already; {out} is unchanged. --restart begins again."
            console.print(said, highlight=False, markup=False, soft_wrap=True)
        bag = _bag_description(recording, originals)
        descriptions = {output.place: output.description for output in (*FORMATS.values(), SHEET)} | {"bag": bag}
        for path in written.paths:
            console.print(str(path), style="bold", end="  ", highlight=False, markup=False, soft_wrap=True)
            console.print(descriptions[path.name], highlight=False, markup=False, soft_wrap=True)
    return skipped


def _check_apart(recording: Path, out: Path) -> None:
    """Raise ValueError if results would be written over the recording, or `--restart` would delete it with them."""
    source, folder = recording.resolve(), out.resolve()
    if source == folder:
        raise ValueError(f"{out} is the recording itself; choose another folder with --out")
    places = {folder / name for name in (STORE, *(output.place for output in (*FORMATS.values(), SHEET)))}
    if places & {source, *source.parents}:
        raise ValueError(f"{recording} is in the place of a result in {out}; choose another folder with --out")


def _prompts(
    options: argparse.Namespace, recording: Recording, network: Callable[[], SAM2 | Network], console: Console
) -> tuple[Sequence[ScheduledPrompt], int | None]:
    """The prompts, and how many of the bag were left out; None: they are not those of the bag.

    Raises:
        ValueError, OSError.
    """
    if options.everything:
        return (), None
    pointed: list[TimedPrompt] = options.pointed
    labels = [*options.label, *[""] * len(pointed)]
    given = [
        replace(timed, prompt=replace(timed.prompt, label=label)) for timed, label in zip(pointed, labels, strict=False)
    ]
    source: str | None = options.prompts
    bag = recording if isinstance(recording, BagRecording) else None
    if source and (bag is None or not source.startswith("/") or Path(source).is_file()):
        given = read_prompts(source)
    elif not given and bag is not None and (topic := choose_topic(bag.path, source)) is not None:
        recorded, unreadable = read_bag_prompts(bag.path, topic, bag.stamps, bag.times.tolist())
        console.print(f"prompts on {topic}: {len(recorded)}", highlight=False, markup=False)
        scheduled = schedule(recorded, recording, network().config.shape, as_the_node=True)
        left_out = [*unreadable, *scheduled.left_out]
        _note_several(console, "prompts of the bag, left out", left_out)
        if not scheduled.prompts and recorded:
            raise ValueError(f"{recording.path}: none of its {len(recorded)} prompts can be applied")
        if recorded:
            return scheduled.prompts, len(left_out)
    if not given:
        raise ValueError(f"what to follow? {_how_to_prompt(recording)}")
    return schedule(given, recording).prompts, None


def _how_to_prompt(recording: Recording) -> str:
    image = next(iter(recording.images(recording.span.start)), None)
    if image is None:
        raise ValueError(f"{recording.path}: no image can be decoded ({next(iter(recording.damaged.values()), '')})")
    height, width = image.pixels.shape[:2]
    size = f"{width} x {height} pixels"
    return f"Give --click X,Y, a pixel of a thing on the first image ({size}), --prompts FILE, or --everything"


def _search(options: argparse.Namespace) -> AutomaticMaskletSettings:
    """How --everything finds objects. Raises ValueError."""
    return AutomaticMaskletSettings(period=options.period, coverage=options.coverage, max_masklets=options.max_masklets)


def _note(console: Console, text: str) -> None:
    console.print(f"note: {text}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def _note_several(console: Console, what: str, reasons: Sequence[str]) -> None:
    if reasons:
        more = f"; and {len(reasons) - NAMED} more" if len(reasons) > NAMED else ""
        _note(console, f"{what}: {len(reasons)}: {'; '.join(reasons[:NAMED])}{more}")


def _note_damaged(console: Console, recording: Recording, store: MaskletStore) -> int:
    """Name the images that were skipped, also by an earlier process. Returns their number."""
    there = set(store.frame_numbers)
    missing = [index for index in recording.span if index not in there]
    reasons = [f"image {index} ({recording.damaged.get(index, 'damaged')})" for index in missing[:NAMED]]
    reasons += [""] * (len(missing) - len(reasons))
    _note_several(console, f"damaged images, skipped (of {len(recording.span)})", reasons)
    return len(missing)


def _bag_description(recording: Recording, originals: bool) -> str:
    beside = "original messages" if isinstance(recording, BagRecording) else "images, as JPEG"
    return f"ROS 2 bag (MCAP) with the masklets {f'beside the {beside}' if originals else 'alone'}"
