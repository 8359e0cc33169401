"""The job of `sam2_ros track` for every recording: automatic masklets, or the prompts that belong to it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sam2_ros.data.prompt_file import read_prompts
from sam2_ros.fleet.job import Job, Loaded, Model
from sam2_ros.fleet.piece import Outcome, Piece, Report, State, stretches
from sam2_ros.recordings.bag_prompts import choose_topic, read_bag_prompts
from sam2_ros.recordings.bag_recording import BagRecording
from sam2_ros.recordings.everything import AutomaticMaskletSettings
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.open_recording import open_recording
from sam2_ros.recordings.outputs.outputs import check_outputs, write_outputs
from sam2_ros.recordings.recording import Recording
from sam2_ros.recordings.run import run
from sam2_ros.recordings.run_store import Prompted, Search, open_store
from sam2_ros.recordings.schedule import schedule
from sam2_ros.recordings.track import lost_objects

NAMED = 3
"""How many damaged images or lost objects are named."""


@dataclass(frozen=True)
class MaskletJob(Job):
    """Each piece becomes what `sam2_ros track` writes of it, in its own folder."""

    model: Model
    out: Path
    search: Search | None = field(default_factory=lambda: Search(AutomaticMaskletSettings(), 32))
    """Find everything; None: follow the prompts in the file beside a recording, or else those of the bag."""
    formats: Sequence[str] = ("bag",)
    originals: bool = True
    """Whether bags get the original messages, too."""
    images: str | None = None
    """Topic of bags with several topics of images."""
    fps: float | None = None
    """Of folders and videos."""
    backward: bool | None = None
    """Follow prompts backwards as well; None: those of files, not those of bags."""
    stretch: float | None = None
    """Seconds of a piece; None: whole recordings."""
    restart: bool = False

    def look(self, name: str, path: Path) -> Sequence[Piece]:
        return stretches(self._open(path), name, self.stretch)

    def work(self, piece: Piece, loaded: Loaded, report: Report) -> Outcome:
        recording, out = self._open(piece.path), self.out / piece.name
        if piece.start is not None:
            recording = recording.stretch(piece.start, piece.stop)
        what, left_out = (self.search, 0) if self.search else self._prompts(recording, loaded)
        prompts = what.prompts if isinstance(what, Prompted) else ()
        news = _News(report)
        began = time.monotonic()
        with open_store(out, recording, what, loaded.model, loaded.weights, self.restart) as store:
            check_outputs(out, self.formats, {one.prompt.object_id for one in prompts}, store)
            run(recording, what, loaded.model, store, news)
            written = write_outputs(recording, store, prompts, out, self.formats, self.originals)
            problems = _damaged(recording, store) + ([] if self.search else _lost(store))
            state: State = "damaged" if problems else "done" if news.is_new or written.new else "unchanged"
            notes = [f"{left_out} prompts of the bag were left out"] if left_out else []
            return Outcome(piece, state, "; ".join(problems + notes), len(store.labels), time.monotonic() - began)

    def _open(self, path: Path) -> Recording:
        bag = path.is_dir() or path.suffix in (".mcap", ".db3")
        fps = None if (path / "metadata.yaml").is_file() or path.suffix in (".mcap", ".db3") else self.fps
        return open_recording(path, self.images if bag else None, fps)

    def _prompts(self, recording: Recording, loaded: Loaded) -> tuple[Prompted, int]:
        """What is to be followed in a recording, and how many prompts of the bag were left out.

        Raises:
            ValueError, OSError.
        """
        file = prompt_file(recording.path)
        if file.exists():
            return Prompted(schedule(read_prompts(file), recording).prompts, self.backward is not False), 0
        topic = choose_topic(recording.path) if isinstance(recording, BagRecording) else None
        if topic is None or not isinstance(recording, BagRecording):
            where = "neither in the bag nor" if isinstance(recording, BagRecording) else "not"
            raise ValueError(f"there are no prompts for it, {where} in {file}")
        recorded, unreadable = read_bag_prompts(recording.path, topic, recording.stamps, recording.times.tolist())
        scheduled = schedule(recorded, recording, loaded.model.config.shape, as_the_node=True)
        if not scheduled.prompts:
            raise ValueError(f"none of its {len(recorded)} prompts on {topic} can be applied")
        return Prompted(scheduled.prompts, bool(self.backward)), len(unreadable) + len(scheduled.left_out)


def prompt_file(recording: Path) -> Path:
    """The file of prompts that belongs to a recording, beside it: `run1.prompts.json`, also of `run1.mcap`."""
    name = recording.name if recording.is_dir() else recording.stem
    return recording.with_name(f"{name}.prompts.json")


class _News:
    """Passes progress on, and notes whether anything was tracked that an earlier process had not done already."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._first: int | None = None
        self.is_new = False

    def __call__(self, done: int, total: int, _what: str) -> None:
        self.is_new |= self._first is not None and done > self._first
        self._first = done if self._first is None else self._first
        self._report(done, total)


def _damaged(recording: Recording, store: MaskletStore) -> list[str]:
    there = set(store.frame_numbers)
    missing = [index for index in recording.span if index not in there]
    if not missing:
        return []
    named = ", ".join(f"{index} ({recording.damaged.get(index, 'damaged')})" for index in missing[:NAMED])
    return [f"{len(missing)} damaged images were skipped: {named}{', ...' if len(missing) > NAMED else ''}"]


def _lost(store: MaskletStore) -> list[str]:
    lost = lost_objects(store)
    named = ", ".join(f"{object_id} after image {last}" for object_id, last in [*lost.items()][:NAMED])
    return [f"objects were given up, the GPU was out of memory: {named}"] if lost else []
