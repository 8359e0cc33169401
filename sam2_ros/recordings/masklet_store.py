"""The masklets of a recording while they are computed: one SQLite file, from which a killed run goes on."""

from __future__ import annotations

import errno
import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from sam2_ros.recordings.sqlite_errors import Remedies, sqlite_errors
from sam2_ros.tracking import rle
from sam2_ros.tracking.masklet import BOX_MIN_PART, Masklet

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS objects (object_id INTEGER PRIMARY KEY, label TEXT NOT NULL, first_frame INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS frames (
    frame INTEGER PRIMARY KEY, stamp INTEGER NOT NULL, height INTEGER NOT NULL, width INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS masks (
    frame INTEGER NOT NULL, object_id INTEGER NOT NULL, present INTEGER NOT NULL, presence REAL NOT NULL,
    iou REAL NOT NULL, counts BLOB NOT NULL, PRIMARY KEY (frame, object_id));
CREATE INDEX IF NOT EXISTS masks_by_object ON masks (object_id, frame);
CREATE TABLE IF NOT EXISTS starts (object_id INTEGER PRIMARY KEY, memories BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS rejected (object_id INTEGER PRIMARY KEY, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS passes (name TEXT PRIMARY KEY, next_frame INTEGER NOT NULL, done INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS outputs (name TEXT PRIMARY KEY, made_of TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS states (
    pass TEXT NOT NULL, part INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (pass, part));
"""

_REMEDIES = Remedies(
    full="the disk is full; make room and start the same command again",
    read_only="cannot be written; choose another folder",
    locked="another process is working on it",
    damaged="is damaged; delete it to begin again",
    foreign="is a database of another program; choose another folder",
)

_ACCEPTED = "object_id NOT IN (SELECT object_id FROM rejected)"

_PART = 64 * 2**20
"""Maximum size of a part of a state, bytes: SQLite stores a value of at most 1 GB."""


class OtherRunError(ValueError):
    """The file belongs to another run: another recording, other prompts, another model."""


@dataclass(frozen=True, eq=False)
class StoredMask:
    """The mask of one object on one frame."""

    frame: int
    object_id: int
    present: bool
    presence: float
    iou: float
    counts: np.ndarray
    """Run lengths (`rle`): uint32 [K]."""

    @property
    def area(self) -> int:
        """Pixels."""
        return int(self.counts[1::2].sum())


@dataclass(frozen=True, eq=False)
class StoredFrame:
    """All masks on one frame."""

    frame: int
    stamp: int
    """ns."""
    height: int
    width: int
    masks: tuple[StoredMask, ...]
    """By ascending object ID; of objects that are not visible as well, with empty masks."""

    def masklets(self, labels: Mapping[int, str], box_min_part: float = BOX_MIN_PART) -> tuple[Masklet, ...]:
        """The masks, decoded."""
        return tuple(
            Masklet(
                mask.object_id,
                labels.get(mask.object_id, ""),
                mask.present,
                mask.presence,
                mask.iou,
                rle.decode(mask.counts, self.height, self.width),
                box_min_part,
            )
            for mask in self.masks
        )


@dataclass(frozen=True)
class PassState:
    """How far a pass over the recording has come."""

    next_frame: int
    """Index of the image that it goes on with."""
    done: bool
    state: bytes | None
    """What it needs to go on."""


class MaskletStore:
    """Masks of objects by frame, and how far each pass over the recording has come.

    What belongs together is committed together: a run that is killed at any moment finds a pass and exactly the masks
    that it had computed up to there. Belongs to one thread.

    Args:
        file: made if it is missing; its folder must exist.
        run: what the results depend on (recording, prompts, model, settings), by name. None: a file that is there, of
            any run.

    Raises:
        FileNotFoundError: there is no such file, and no run was given.
        OtherRunError: the file belongs to another run; the message names what differs.
        OSError: the file cannot be written, or is no such file.
    """

    def __init__(self, file: Path, run: Mapping[str, object] | None) -> None:
        self.file = file
        if run is None and not file.is_file():
            raise FileNotFoundError(errno.ENOENT, "there are no masklets", str(file))
        with self._errors():
            self._database = sqlite3.connect(file, timeout=1.0, isolation_level=None)
            self._database.execute("PRAGMA auto_vacuum=INCREMENTAL")  # the room of dropped states is given back
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute(f"PRAGMA journal_size_limit={_PART}")
            self._database.execute("PRAGMA synchronous=NORMAL")  # survives kill -9; after a power cut it is consistent
            self._database.executescript(_SCHEMA)
        self.run: Mapping[str, object] = self._known_run() if run is None else dict(run)
        """What the results depend on, by name."""
        self._check(self.run)
        self._in_transaction = False

    def _known_run(self) -> dict[str, object]:
        with self._errors():
            return {key: json.loads(value) for key, value in self._database.execute("SELECT key, value FROM run")}

    def _check(self, run: Mapping[str, object]) -> None:
        given = {name: json.dumps(value, sort_keys=True) for name, value in run.items()}
        with self._errors():
            known = dict(self._database.execute("SELECT key, value FROM run"))
            if not known:
                self._database.executemany("INSERT INTO run VALUES (?, ?)", given.items())
        differing = [name for name in {**known, **given} if known.get(name) != given.get(name)] if known else []
        if differing:
            self.close()
            raise OtherRunError(f"{self.file.parent} holds another run (other {', '.join(differing)})")

    def __enter__(self) -> MaskletStore:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """What was not committed is lost."""
        self._database.close()

    def add_frame(self, frame: int, stamp: int, height: int, width: int) -> None:
        """Add an image; one that is there already is replaced."""
        self._begin()
        with self._errors():
            self._database.execute("INSERT OR REPLACE INTO frames VALUES (?, ?, ?, ?)", (frame, stamp, height, width))

    def add_object(self, object_id: int, label: str, first_frame: int) -> None:
        """Add an object, or replace what is known of it.

        Args:
            first_frame: index of the image on which it was prompted first.
        """
        self._begin()
        with self._errors():
            self._database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", (object_id, label, first_frame))

    def remove_object(self, object_id: int) -> None:
        """Remove an object and its masks."""
        self._begin()
        with self._errors():
            self._database.execute("DELETE FROM objects WHERE object_id = ?", (object_id,))
            self._database.execute("DELETE FROM masks WHERE object_id = ?", (object_id,))

    def add(self, frame: int, masklets: Iterable[Masklet]) -> None:
        """Add the masks of objects on an image; masks that are there already are replaced."""
        rows = [
            (
                frame,
                masklet.object_id,
                int(masklet.present),
                float(masklet.presence),
                float(masklet.iou),
                rle.encode(masklet.mask, masklet.rows).astype("<u4").tobytes(),
            )
            for masklet in masklets
        ]
        self._begin()
        with self._errors():
            self._database.executemany("INSERT OR REPLACE INTO masks VALUES (?, ?, ?, ?, ?, ?)", rows)

    def commit(self, name: str, next_frame: int, state: bytes | None = None, done: bool = False) -> None:
        """Keep everything that was added, together with how far the pass `name` has come.

        Args:
            next_frame: index of the image that it goes on with.
            state: what it needs to go on there; the one before is dropped.
        """
        self._begin()
        parts = [] if state is None else [state[start : start + _PART] for start in range(0, len(state), _PART)]
        with self._errors():
            execute = self._database.execute
            execute("INSERT OR REPLACE INTO passes VALUES (?, ?, ?)", (name, next_frame, int(done)))
            execute("DELETE FROM states WHERE pass = ?", (name,))
            for number, part in enumerate(parts):
                execute("INSERT INTO states VALUES (?, ?, ?)", (name, number, part))
            execute("COMMIT")
            self._in_transaction = False
            if done:
                self._database.executescript("PRAGMA incremental_vacuum")  # `execute` frees a single page
            else:
                self._begin()  # at once, so that no other process comes in between

    def pass_state(self, name: str) -> PassState | None:
        """How far a pass has come; None: it has not begun."""
        with self._errors():
            row = self._database.execute("SELECT next_frame, done FROM passes WHERE name = ?", (name,)).fetchone()
            parts = self._database.execute("SELECT data FROM states WHERE pass = ? ORDER BY part", (name,)).fetchall()
        state = b"".join(part for (part,) in parts) if parts else None
        return None if row is None else PassState(row[0], bool(row[1]), state)

    def keep_start(self, object_id: int, memories: bytes) -> None:
        """Keep what the pass backwards begins to track an object with; what was kept before is replaced."""
        self._begin()
        with self._errors():
            self._database.execute("INSERT OR REPLACE INTO starts VALUES (?, ?)", (object_id, memories))

    def start_of(self, object_id: int) -> bytes | None:
        """What `keep_start` kept; None: nothing."""
        with self._errors():
            row = self._database.execute("SELECT memories FROM starts WHERE object_id = ?", (object_id,)).fetchone()
        return None if row is None else row[0]

    def reject(self, object_id: int, reason: str) -> None:
        """Leave an object out of all that is read from here on, except `rejected` and `masks_of`.

        Args:
            reason: in words, for people.
        """
        self._begin()
        with self._errors():
            self._database.execute("INSERT OR REPLACE INTO rejected VALUES (?, ?)", (object_id, reason))

    @property
    def rejected(self) -> dict[int, str]:
        """Why objects were rejected, by ascending ID."""
        with self._errors():
            return dict(self._database.execute("SELECT object_id, reason FROM rejected ORDER BY object_id"))

    def note_output(self, name: str, made_of: str) -> None:
        """Note what a file or folder beside this one, of that name, is made of."""
        self._begin()
        with self._errors():
            self._database.execute("INSERT OR REPLACE INTO outputs VALUES (?, ?)", (name, made_of))
            self._database.execute("COMMIT")
        self._in_transaction = False

    def made_of(self, name: str) -> str | None:
        """What `note_output` noted of a name; None: nothing."""
        with self._errors():
            row = self._database.execute("SELECT made_of FROM outputs WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    @property
    def summary(self) -> list[object]:
        """What tells the contents from those of another time: objects, and numbers and sizes of what there is."""
        query = "SELECT COUNT(*), SUM(LENGTH(counts)), SUM(present), TOTAL(presence), TOTAL(iou) FROM masks"
        with self._errors():
            objects = self._database.execute("SELECT * FROM objects ORDER BY object_id").fetchall()
            return [objects, list(self.rejected), self.frame_count, self._database.execute(query).fetchone()]

    @property
    def frame_numbers(self) -> list[int]:
        """Indices of all images, ascending."""
        with self._errors():
            return [frame for (frame,) in self._database.execute("SELECT frame FROM frames ORDER BY frame")]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The different heights and widths of images, ascending."""
        with self._errors():
            return self._database.execute("SELECT DISTINCT height, width FROM frames ORDER BY 1, 2").fetchall()

    @property
    def sizes_by_frame(self) -> dict[int, tuple[int, int]]:
        """Height and width of each image, by ascending index."""
        with self._errors():
            rows = self._database.execute("SELECT frame, height, width FROM frames ORDER BY frame").fetchall()
        return {frame: (height, width) for frame, height, width in rows}

    @property
    def labels(self) -> dict[int, str]:
        """Labels of all objects, by ascending ID."""
        query = f"SELECT object_id, label FROM objects WHERE {_ACCEPTED} ORDER BY object_id"
        with self._errors():
            return dict(self._database.execute(query))

    @property
    def first_frames(self) -> dict[int, int]:
        """Index of the image on which each object was prompted first, by ascending ID."""
        query = f"SELECT object_id, first_frame FROM objects WHERE {_ACCEPTED} ORDER BY object_id"
        with self._errors():
            return dict(self._database.execute(query))

    @property
    def lives(self) -> dict[int, tuple[int, int, float | None]]:
        """By ascending ID: the images on which an object was looked for, those on which it is seen, and the mean of its
        predicted IoU there; None: it is never seen."""
        iou = "AVG(CASE WHEN present THEN iou END)"
        query = f"SELECT object_id, COUNT(*), SUM(present), {iou} FROM masks GROUP BY object_id"
        with self._errors():
            return {row[0]: (row[1], row[2], row[3]) for row in self._database.execute(query)}

    @property
    def last_frames(self) -> dict[int, int]:
        """Index of the last image with a mask of each object, by ascending ID."""
        with self._errors():
            return dict(self._database.execute("SELECT object_id, MAX(frame) FROM masks GROUP BY object_id"))

    @property
    def last_frame(self) -> int | None:
        """Index of the last image; None: there is none."""
        with self._errors():
            last = self._database.execute("SELECT MAX(frame) FROM frames").fetchone()[0]
        return None if last is None else int(last)

    @property
    def frame_count(self) -> int:
        with self._errors():
            return int(self._database.execute("SELECT COUNT(*) FROM frames").fetchone()[0])

    def frame(self, frame: int) -> StoredFrame | None:
        """One frame; None: there is no such image, because it was damaged or has not been processed."""
        with self._errors():
            row = self._database.execute(
                "SELECT frame, stamp, height, width FROM frames WHERE frame = ?", (frame,)
            ).fetchone()
        return None if row is None else self._stored(row)

    def frames(self) -> Iterator[StoredFrame]:
        """All frames in order."""
        with self._errors():
            for row in self._database.execute("SELECT frame, stamp, height, width FROM frames ORDER BY frame"):
                yield self._stored(row)

    def masks_of(self, object_id: int) -> Iterator[StoredMask]:
        """The masks of one object, frame by frame."""
        query = "SELECT frame, object_id, present, presence, iou, counts FROM masks WHERE object_id = ? ORDER BY frame"
        with self._errors():
            for row in self._database.execute(query, (object_id,)):
                yield _mask(row)

    def _stored(self, row: tuple[int, int, int, int]) -> StoredFrame:
        query = (
            "SELECT frame, object_id, present, presence, iou, counts FROM masks"
            f" WHERE frame = ? AND {_ACCEPTED} ORDER BY object_id"
        )
        with self._errors():
            masks = tuple(_mask(mask) for mask in self._database.execute(query, (row[0],)))
        return StoredFrame(*row, masks)

    def _begin(self) -> None:
        if not self._in_transaction:
            with self._errors():
                self._database.execute("BEGIN IMMEDIATE")
            self._in_transaction = True

    def _errors(self) -> AbstractContextManager[None]:
        return sqlite_errors(self.file, _REMEDIES)


def forget(file: Path) -> None:
    """Delete a file of masklets, if there is one, and the outputs that were made of it. Raises OSError."""
    if not file.exists():
        return
    try:
        database = sqlite3.connect(file)
        try:
            outputs = [name for (name,) in database.execute("SELECT name FROM outputs")]
        finally:
            database.close()
    except sqlite3.Error:  # damaged, or of another kind; its outputs may be anybody's
        outputs = []
    for name in outputs:
        output = file.parent / name
        if output.is_dir() and not output.is_symlink():
            shutil.rmtree(output)
        else:
            output.unlink(missing_ok=True)
    for suffix in ("-wal", "-shm", ""):
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def _mask(row: tuple[int, int, int, float, float, bytes]) -> StoredMask:
    frame, object_id, present, presence, iou, counts = row
    return StoredMask(frame, object_id, bool(present), presence, iou, np.frombuffer(counts, "<u4").astype(np.uint32))
