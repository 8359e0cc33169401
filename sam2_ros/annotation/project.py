"""The annotation project of a recording: one SQLite file with everything that people and model said about it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from sam2_ros.annotation.action import Action
from sam2_ros.annotation.annotated_mask import BY_HAND, AnnotatedMask, Rating
from sam2_ros.annotation.annotated_object import OPEN, PROPOSED, REJECTED, VERIFIED, AnnotatedObject, Extent
from sam2_ros.annotation.database import (
    FORM,
    MASK_COLUMNS,
    OBJECT_COLUMNS,
    PROMPT_COLUMNS,
    REMEDIES,
    opened,
)
from sam2_ros.annotation.prompt_json import from_json, to_json
from sam2_ros.recordings.bag_recording import BagRecording
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.recordings.recording import Recording, split_fingerprint
from sam2_ros.recordings.sqlite_errors import sqlite_errors
from sam2_ros.tracking.prompt import MAX_LABEL, MAX_OBJECT_ID, Prompt

FILE = "project.db"
"""Of a project, in its folder."""

SATISFACTORY, UNSATISFACTORY, NO_OBJECT = "satisfactory", "unsatisfactory", "no object"
VERDICTS = {SATISFACTORY: VERIFIED, UNSATISFACTORY: OPEN, NO_OBJECT: REJECTED}
"""What somebody else says of a masklet, and the state that it gets (SAM 2 paper, section 5.1)."""

LOOK = "look"
"""The kind of action that changes nothing, and cannot be undone: only time was spent."""

_TABLES = {"object": "objects", "mask": "masks", "prompt": "prompts"}
_COLUMNS = {"objects": OBJECT_COLUMNS, "masks": MASK_COLUMNS, "prompts": PROMPT_COLUMNS}

_UNDOABLE = (
    f"SELECT * FROM actions WHERE annotator = :by AND undone_by IS NULL AND undoes IS NULL AND kind <> '{LOOK}'"
    " ORDER BY action_id DESC LIMIT 1"
)
_REDOABLE = (
    "SELECT * FROM actions WHERE annotator = :by AND kind = 'undo' AND undone_by IS NULL AND action_id >"
    " COALESCE((SELECT MAX(action_id) FROM actions WHERE annotator = :by AND undoes IS NULL"
    f" AND kind <> '{LOOK}'), 0)"
    " ORDER BY action_id DESC LIMIT 1"
)
"""What `undo` and `redo` of an annotator reverse."""

_CONTENT = ("form", "recording", "fingerprint", "frames", "fps", "annotated_fps")
"""What the table `project` says at least."""

T = TypeVar("T")


class ProjectError(ValueError):
    """A project cannot be opened, or an action not be done; the message says what to do."""


class ChangedError(ProjectError):
    """Somebody else has changed it in the meantime. Look at it again; nothing was overwritten."""


class Project:
    """Objects of a recording with their masks, prompts and verdicts, and every action by which they came to be.

    Every action is one transaction, which also stores what it replaces: it is there as a whole or not at all, and can
    be undone. Any number of processes may work on a project. An action names the last action that its annotator had
    seen (`seen`): if somebody else has changed the same thing since then, it is refused, and nothing is overwritten.

    An instance belongs to one thread.

    Args:
        folder: of the project.
        recording: that it must be of; None: it is not compared.

    Raises:
        ProjectError: there is no project, or it is of another recording.
        OSError: the file is damaged, or cannot be written.
    """

    def __init__(self, folder: Path | str, recording: Recording | None = None) -> None:
        self.folder = Path(folder)
        self.file = self.folder / FILE
        if not self.file.is_file():
            raise ProjectError(f"{self.folder} is no annotation project: it has no {FILE}")
        self._database = opened(self.file)
        try:
            with sqlite_errors(self.file, REMEDIES), _damage(self.folder):
                known = {key: json.loads(value) for key, value in self._database.execute("SELECT * FROM project")}
            if not known:
                raise ProjectError(f"{self.folder} was not completed when it was made; delete it and make it again")
            if known.get("form", FORM) != FORM:
                raise ProjectError(f"{self.folder} has the form {known['form']}, this version reads {FORM}; update")
            if missing := [key for key in _CONTENT if key not in known]:
                raise ProjectError(f"{self.folder} is damaged: {', '.join(missing)} missing; restore it from a copy")
            if recording is not None and recording.fingerprint() != known["fingerprint"]:
                raise ProjectError(
                    f"{self.folder} is a project for another recording ({known['recording']}), not for"
                    f" {recording.path}; give that one, or another folder for the project"
                )
        except BaseException:
            self._database.close()
            raise
        self.recording_path = Path(known["recording"])
        """Where the recording was when the project was made, or when somebody said that it was moved (`relocate`)."""
        self.images_topic: str | None = known.get("images_topic")
        """Topic of the images in a bag."""
        self.fingerprint: str = known["fingerprint"]
        """Of the recording (`Recording.fingerprint`)."""
        self.frame_count: int = known["frames"]
        """Images of the recording, those outside the stretch too if the project is of a part of it."""
        self.span: range = split_fingerprint(self.fingerprint)[1] or range(self.frame_count)
        """Indices of the images that the project is of: all, or those of a stretch."""
        self.fps: float = known["fps"]
        """Images per second of the recording."""
        self.annotated_fps: float = known["annotated_fps"]
        """Frames per second that are annotated one by one in phase 1."""

    @classmethod
    def create(cls, folder: Path | str, recording: Recording, annotated_fps: float = 6.0) -> Project:
        """Make the project of a recording; one that is there already is opened.

        Args:
            annotated_fps: frames per second that are annotated one by one in phase 1; the paper's 6.

        Raises:
            ProjectError, OSError: as for `Project`.
        """
        folder = Path(folder)
        if not annotated_fps > 0:
            raise ProjectError(f"{annotated_fps} frames a second; the number must be positive")
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / FILE
        database = opened(file)
        content = {
            "form": FORM,
            "recording": str(recording.path.absolute()),
            "images_topic": recording.topic if isinstance(recording, BagRecording) else None,
            "fingerprint": recording.fingerprint(),
            "frames": len(recording),
            "fps": recording.fps,
            "annotated_fps": annotated_fps,
        }
        rows = [(key, json.dumps(value)) for key, value in content.items()]
        try:
            with sqlite_errors(file, REMEDIES):
                database.execute("BEGIN IMMEDIATE")
                if database.execute("SELECT COUNT(*) FROM project").fetchone()[0] == 0:
                    database.executemany("INSERT INTO project VALUES (?, ?)", rows)
                database.execute("COMMIT")
        finally:
            database.close()
        return cls(folder, recording)

    def __enter__(self) -> Project:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    def relocate(self, recording: Recording) -> None:
        """Remember where the recording is now. Raises ProjectError if it is another one."""
        if recording.fingerprint() != self.fingerprint:
            raise ProjectError(f"{recording.path} is not the recording of {self.folder}: its content is another one")
        path = recording.path.absolute()
        self._rows("UPDATE project SET value = ? WHERE key = 'recording'", json.dumps(str(path)))
        self.recording_path = path

    # ---- what there is

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read inside is as it was at the beginning, whatever others do meanwhile. Not for actions."""
        with sqlite_errors(self.file, REMEDIES):
            self._database.execute("BEGIN")
            self._database.execute("SELECT COUNT(*) FROM project").fetchone()  # begins in fact with the first reading
        try:
            yield
        finally:
            self._database.execute("ROLLBACK")

    @property
    def last_action(self) -> int:
        """Number of the last action, by anybody; 0: none. What an annotator has seen when looking at it now."""
        return int(self._rows("SELECT COALESCE(MAX(action_id), 0) FROM actions")[0][0])

    @property
    def annotated_frames(self) -> list[int]:
        """Indices of the images that are annotated one by one in phase 1."""
        step = max(1.0, self.fps / self.annotated_fps)
        count = int((len(self.span) - 1) / step) + 1
        return sorted({self.span.start + round(number * step) for number in range(count)})

    def objects(self, *states: str) -> list[AnnotatedObject]:
        """The objects in these states, by ascending ID; without any: all."""
        rows = self._rows(f"SELECT {OBJECT_COLUMNS} FROM objects ORDER BY object_id")
        return [one for one in map(_object, rows) if not states or one.state in states]

    def object(self, object_id: int) -> AnnotatedObject:
        """Raises ProjectError if there is no such object."""
        rows = self._rows(f"SELECT {OBJECT_COLUMNS} FROM objects WHERE object_id = ?", object_id)
        if not rows:
            known = ", ".join(str(one.object_id) for one in self.objects()) or "none"
            raise ProjectError(f"there is no object {object_id}; there are: {known}")
        return _object(rows[0])

    def mask(self, object_id: int, frame: int) -> AnnotatedMask | None:
        """None: it is unknown whether the object is on this frame."""
        rows = self._rows(f"SELECT {MASK_COLUMNS} FROM masks WHERE object_id = ? AND frame = ?", object_id, frame)
        return _mask(rows[0]) if rows else None

    def masks_of(self, object_id: int) -> Iterator[AnnotatedMask]:
        """The masks of an object, frame by frame."""
        return self._iterate(_mask, f"SELECT {MASK_COLUMNS} FROM masks WHERE object_id = ? ORDER BY frame", object_id)

    def masks_on(self, frame: int) -> list[AnnotatedMask]:
        """The masks of all objects on a frame, by ascending ID."""
        rows = self._rows(f"SELECT {MASK_COLUMNS} FROM masks WHERE frame = ? ORDER BY object_id", frame)
        return list(map(_mask, rows))

    def prompts_of(self, object_id: int) -> list[ScheduledPrompt]:
        """The prompts of an object by frame; all clicks of a frame are one."""
        rows = self._rows("SELECT frame, prompt FROM prompts WHERE object_id = ? ORDER BY frame", object_id)
        return [ScheduledPrompt(frame, from_json(text, object_id)) for frame, text in rows]

    def prompts_on(self, frame: int) -> dict[int, Prompt]:
        """The prompts of a frame, by object; all clicks on an object are one."""
        rows = self._rows("SELECT object_id, prompt FROM prompts WHERE frame = ? ORDER BY object_id", frame)
        return {object_id: from_json(text, object_id) for object_id, text in rows}

    def ratings_of(self, object_id: int) -> Iterator[Rating]:
        """What is said of an object frame by frame, without its masks."""
        query = "SELECT frame, origin, present, presence, iou FROM masks WHERE object_id = ? ORDER BY frame"
        return self._iterate(_rating, query, object_id)

    def extents(self) -> dict[int, Extent]:
        """What is known of each object that has masks, by ascending ID."""
        rows = self._rows(
            "SELECT object_id, COUNT(*), SUM(frame IN (SELECT value FROM json_each(?))), SUM(present),"
            " AVG(CASE WHEN present THEN iou END), MAX(action_id) FROM masks GROUP BY object_id ORDER BY object_id",
            json.dumps(self.annotated_frames),
        )
        return {row[0]: Extent(row[1], row[2], row[3], row[4] or 0.0, row[5]) for row in rows}

    def doubts(self, object_id: int | None = None) -> Iterator[tuple[int, int, float]]:
        """ID, frame and expected IoU, 0 .. 1, of every mask that was not made by hand, by ascending IoU.

        Expected is the predicted IoU times the probability that the object is visible; where the mask says that it is
        not visible, the probability of that.

        Args:
            object_id: None: of all objects that are proposed or open.
        """
        sure = "CASE WHEN present THEN presence * iou ELSE 1 - presence END"
        chosen = "object_id = ?" if object_id is not None else (
            "object_id IN (SELECT object_id FROM objects WHERE state IN (?, ?))"
        )  # fmt: skip
        query = (
            f"SELECT object_id, frame, {sure} AS sure FROM masks WHERE origin NOT IN (?, ?) AND {chosen}"
            " ORDER BY sure, frame, object_id"
        )
        values = (OPEN, PROPOSED) if object_id is None else (object_id,)
        return self._iterate(lambda row: (row[0], row[1], row[2]), query, *BY_HAND, *values)

    def origins(self) -> dict[int, dict[str, int]]:
        """How many masks of each origin each object has, by ID and origin."""
        counts: dict[int, dict[str, int]] = {}
        for object_id, origin, count in self._rows("SELECT object_id, origin, COUNT(*) FROM masks GROUP BY 1, 2"):
            counts.setdefault(object_id, {})[origin] = count
        return counts

    def authors_of(self, object_id: int) -> set[str]:
        """Everybody who made it, one of its masks or one of its prompts."""
        tables = ("objects", "masks", "prompts")
        query = " UNION ".join(f"SELECT author FROM {table} WHERE object_id = :id" for table in tables)
        with sqlite_errors(self.file, REMEDIES):
            return {author for (author,) in self._database.execute(query, {"id": object_id})}

    def annotators(self) -> list[str]:
        """Everybody who has done anything, by name."""
        return [name for (name,) in self._rows("SELECT DISTINCT annotator FROM actions ORDER BY annotator")]

    def actions(self, after: int = 0) -> Iterator[Action]:
        """All actions with higher numbers than `after`, in order."""
        return self._iterate(_action, "SELECT * FROM actions WHERE action_id > ? ORDER BY action_id", after)

    def reversible(self, by: str) -> tuple[Action | None, Action | None]:
        """The actions that `undo` and `redo` of an annotator would reverse; None: there is none."""
        with sqlite_errors(self.file, REMEDIES):
            rows = [self._database.execute(query, {"by": by}).fetchone() for query in (_UNDOABLE, _REDOABLE)]
        undoable, redoable = (None if row is None else _action(row) for row in rows)
        return undoable, redoable

    # ---- actions

    def add_object(
        self,
        by: str,
        label: str = "",
        attributes: Mapping[str, str] | None = None,
        state: str = OPEN,
        masks: Iterable[AnnotatedMask] = (),
        seconds: float = 0.0,
        reason: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> int:
        """Add an object, with the masks that are known of it already. Returns its ID, the next free one.

        Args:
            by: the annotator.
            state: `OPEN`, `PROPOSED` if nobody has looked at it, or `REJECTED` if a program has rejected it.
            masks: their object IDs are ignored.
            seconds: how long it took the annotator.
            reason: why it is rejected.
            detail: what else is to be known of the action.

        Raises:
            ProjectError: the label is too long, or there are no more IDs.
        """
        if state not in (OPEN, PROPOSED, REJECTED):
            raise ProjectError(f"an object cannot begin as {state}")
        _check_label(label)
        _check_attributes(attributes or {})
        with self._action(by, "add", None, None, None, seconds, {"label": label, **(detail or {})}) as action_id:
            object_id = self._new_object(action_id, label, attributes or {}, state, reason, by)
            for mask in masks:
                self._put_mask(action_id, object_id, mask, by)
        return object_id

    def begin(
        self,
        by: str,
        mask: AnnotatedMask,
        prompt: Prompt | None = None,
        label: str = "",
        seconds: float = 0.0,
        detail: Mapping[str, Any] | None = None,
    ) -> int:
        """Add an object together with its first mask, that a person made: one action. Returns its ID.

        Args:
            mask: its object ID is ignored.
            prompt, seconds, detail: as in `put_mask`.

        Raises:
            ProjectError: the label is too long, there is no such frame, or there are no more IDs.
        """
        _check_label(label)
        self._check_frame(mask.frame)
        told = {"label": label, "new_object": True, **(detail or {})}
        with self._action(by, "mask", None, mask.frame, mask.phase, seconds, _told(mask, prompt, told)) as action_id:
            object_id = self._new_object(action_id, label, {}, OPEN, "", by)
            self._put_by_hand(action_id, object_id, mask, prompt, by)
        return object_id

    def describe(
        self,
        by: str,
        object_id: int,
        label: str | None = None,
        attributes: Mapping[str, str] | None = None,
        seen: int | None = None,
        seconds: float = 0.0,
    ) -> None:
        """Give an object another label or other attributes; None: they stay.

        Raises:
            ChangedError: somebody else has changed them since the action `seen`.
        """
        if label is not None:
            _check_label(label)
        _check_attributes(attributes or {})
        with self._action(by, "describe", object_id, None, None, seconds, {"label": label}) as action_id:
            known = self.object(object_id)
            self._check_unchanged(known.action_id, seen, by, f"object {object_id}")
            self._put_object(
                action_id,
                object_id,
                known.label if label is None else label,
                known.attributes if attributes is None else attributes,
                known.state,
                known.reason,
                known.author,
            )

    def put_mask(
        self,
        by: str,
        mask: AnnotatedMask,
        prompt: Prompt | None = None,
        seen: int | None = None,
        seconds: float = 0.0,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Store a mask that a person made on its frame, and by which prompt.

        Args:
            prompt: all clicks and boxes of this frame together; a drawn mask is its own prompt, and needs none.
            detail: what else is to be known of the action, such as the number of clicks.

        Raises:
            ProjectError: there is no such object or frame.
            ChangedError: somebody else has changed the mask on this frame since the action `seen`.
        """
        self._check_frame(mask.frame)
        object_id, frame = mask.object_id, mask.frame
        told = _told(mask, prompt, detail or {})
        with self._action(by, "mask", object_id, frame, mask.phase, seconds, told) as action_id:
            self._open_up(action_id, object_id)
            known = self.mask(object_id, frame)
            self._check_unchanged(
                known.action_id if known else 0, seen, by, f"the mask of object {object_id} on frame {frame}"
            )
            self._put_by_hand(action_id, object_id, mask, prompt, by)

    def put_propagated(
        self,
        by: str,
        object_id: int,
        masks: Iterable[AnnotatedMask],
        seen: int | None = None,
        seconds: float = 0.0,
        detail: Mapping[str, Any] | None = None,
    ) -> int:
        """Store what was tracked from the masks by hand, all of it as one action. Masks by hand stay as they are.

        Args:
            masks: computed from the prompts as they were after the action `seen`.

        Returns:
            The number of masks that were stored.

        Raises:
            ChangedError: somebody else has pointed at this object since the action `seen`; propagate again.
        """
        count, phase = 0, None
        with self._action(by, "propagate", object_id, None, None, seconds, detail or {}) as action_id:
            self._open_up(action_id, object_id)
            query = "SELECT COALESCE(MAX(action_id), 0) FROM prompts WHERE object_id = ?"
            (prompted,) = self._database.execute(query, (object_id,)).fetchone()
            self._check_unchanged(prompted, seen, by, f"object {object_id}")
            marks = ", ".join("?" * len(BY_HAND))
            query = f"SELECT frame FROM masks WHERE object_id = ? AND origin IN ({marks})"
            by_hand = {frame for (frame,) in self._database.execute(query, (object_id, *BY_HAND))}
            for mask in masks:
                self._check_frame(mask.frame)
                if mask.frame not in by_hand:
                    self._put_mask(action_id, object_id, mask, by)
                    count, phase = count + 1, mask.phase
            self._database.execute("UPDATE actions SET phase = ? WHERE action_id = ?", (phase, action_id))
        return count

    def remove_mask(self, by: str, object_id: int, frame: int, seen: int | None = None, seconds: float = 0.0) -> None:
        """Forget the mask of an object on a frame, and its prompt there.

        Raises:
            ProjectError: there is no such mask.
            ChangedError: somebody else has changed it since the action `seen`.
        """
        with self._action(by, "remove mask", object_id, frame, None, seconds, {}) as action_id:
            self._open_up(action_id, object_id)
            if (known := self.mask(object_id, frame)) is None:
                raise ProjectError(f"object {object_id} has no mask on frame {frame}")
            self._check_unchanged(known.action_id, seen, by, f"the mask of object {object_id} on frame {frame}")
            self._replace(action_id, "mask", object_id, frame, None)
            self._replace(action_id, "prompt", object_id, frame, None)

    def look(self, by: str, object_id: int, phase: int, frames: int, seconds: float) -> None:
        """Store that somebody looked at a number of frames of an object and found them fine. Nothing changes.

        Raises:
            ProjectError: there is no such object.
        """
        with self._action(by, LOOK, object_id, None, phase, seconds, {"frames": frames}):
            self.object(object_id)

    def judge(
        self,
        by: str,
        object_id: int,
        verdict: str,
        reason: str = "",
        seen: int | None = None,
        seconds: float = 0.0,
        own: bool = False,
    ) -> None:
        """Say what a masklet is worth: one of `VERDICTS`.

        Satisfactory: it is verified. Unsatisfactory: back to phase 3. No object: it is rejected.

        Args:
            own: allow it to be somebody's own work.

        Raises:
            ProjectError: an unknown verdict, an object without masks, or one's own work.
            ChangedError: the object, or one of its masks, has been changed since the action `seen`.
        """
        if verdict not in VERDICTS:
            raise ProjectError(f"there is no verdict {verdict!r}; say {', '.join(VERDICTS)}")
        with self._action(
            by, "verdict", object_id, None, None, seconds, {"verdict": verdict, "reason": reason}
        ) as action_id:
            known = self.object(object_id)
            query = "SELECT COALESCE(MAX(action_id), 0), COUNT(*) FROM masks WHERE object_id = ?"
            changed, count = self._database.execute(query, (object_id,)).fetchone()
            if not count and verdict == SATISFACTORY:
                raise ProjectError(f"object {object_id} has no masks; there is nothing to verify")
            if not own and by in self.authors_of(object_id):
                raise ProjectError(f"object {object_id} is {by}'s own work; somebody else has to look at it")
            self._check_unchanged(max(known.action_id, changed), seen, by, f"object {object_id}")
            state = VERDICTS[verdict]
            self._put_object(action_id, object_id, known.label, known.attributes, state, reason, known.author)

    def undo(self, by: str, seconds: float = 0.0) -> Action | None:
        """Undo the last action of an annotator that has not been undone; None: there is none.

        Undoing is an action itself, and `redo` undoes it.

        Raises:
            ChangedError: what the action has changed was changed again since then.
        """
        return self._reverse(by, _UNDOABLE, {"by": by}, "undo", seconds)

    def redo(self, by: str, seconds: float = 0.0) -> Action | None:
        """Undo the last `undo` of an annotator; None: there is none after the last other action. Raises as `undo`."""
        return self._reverse(by, _REDOABLE, {"by": by}, "redo", seconds)

    # ---- how

    def _reverse(
        self, by: str, query: str, values: Sequence[Any] | Mapping[str, Any], kind: str, seconds: float
    ) -> Action | None:
        _check_name(by)
        with sqlite_errors(self.file, REMEDIES):
            row = self._database.execute(query, values).fetchone()
        if row is None:
            return None
        undone = _action(row)
        with self._action(by, kind, undone.object_id, undone.frame, undone.phase, seconds, {}, undone) as action_id:
            select = "SELECT undone_by FROM actions WHERE action_id = ?"
            if self._database.execute(select, (undone.action_id,)).fetchone()[0] is not None:
                raise ChangedError(f"action {undone.action_id} has been undone already")
            changed = self._database.execute(
                "SELECT kind, object_id, frame, left_by FROM changed WHERE action_id = ?", (undone.action_id,)
            ).fetchall()
            for what, object_id, frame, left_by in changed:
                table = _TABLES[what]
                key, values = _key(what, object_id, frame)
                now = self._database.execute(f"SELECT action_id FROM {table} WHERE {key}", values).fetchone()
                if (None if now is None else now[0]) != left_by:
                    raise ChangedError(
                        f"object {object_id} was changed again after action {undone.action_id}"
                        f" ({undone.kind}); that has to be undone first"
                    )
                columns = _COLUMNS[table]
                earlier = self._database.execute(
                    f"SELECT {columns} FROM earlier_{table} WHERE changed_by = ? AND {key}",
                    (undone.action_id, *values),
                ).fetchone()
                self._replace(action_id, what, object_id, frame, earlier)
            self._check_complete({object_id for _, object_id, _, _ in changed}, undone)
            if kind == "redo":  # what was undone stands again, and can be undone again
                self._database.execute("UPDATE actions SET undone_by = NULL WHERE undone_by = ?", (undone.action_id,))
            self._database.execute(
                "UPDATE actions SET undone_by = ? WHERE action_id = ?", (action_id, undone.action_id)
            )
        return undone

    @contextmanager
    def _action(
        self,
        by: str,
        kind: str,
        object_id: int | None,
        frame: int | None,
        phase: int | None,
        seconds: float,
        detail: Mapping[str, Any],
        undoes: Action | None = None,
    ) -> Iterator[int]:
        """A transaction, with the action that it is; it is taken back as a whole after any error."""
        _check_name(by)
        row = (time.time(), by, kind, object_id, frame, phase, seconds, json.dumps(dict(detail)))
        with sqlite_errors(self.file, REMEDIES):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                cursor = self._database.execute(
                    "INSERT INTO actions (time, annotator, kind, object_id, frame, phase, seconds, detail, undoes)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*row, None if undoes is None else undoes.action_id),
                )
                assert cursor.lastrowid is not None
                yield cursor.lastrowid
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _check_unchanged(self, changed: int, seen: int | None, by: str, what: str) -> None:
        """Raise ChangedError if an action, by somebody else, is newer than what the annotator has seen."""
        if seen is None or changed <= seen:
            return
        (author,) = self._database.execute("SELECT annotator FROM actions WHERE action_id = ?", (changed,)).fetchone()
        if author != by:
            raise ChangedError(f"{what} was changed by {author} in the meantime; look at it again")

    def _check_complete(self, object_ids: set[int], undone: Action) -> None:
        """Raise ChangedError if undoing an action leaves masks or prompts without their object."""
        for object_id in object_ids:
            tables = ("masks", "prompts")
            query = " UNION ".join(f"SELECT action_id FROM {table} WHERE object_id = :id" for table in tables)
            left = self._database.execute(f"SELECT MAX(action_id) FROM ({query})", {"id": object_id}).fetchone()[0]
            if left is None or self._rows("SELECT 1 FROM objects WHERE object_id = ?", object_id):
                continue
            if left > undone.action_id:
                raise ChangedError(f"object {object_id} has masks of action {left}; that has to be undone first")
            raise ChangedError(f"object {object_id} is gone: that it was added has been undone since then")

    def _check_frame(self, frame: int) -> None:
        if frame not in self.span:
            first, last = self.span[0], self.span[-1]
            raise ProjectError(f"there is no frame {frame}; the project has the frames {first} to {last}")

    def _check_size(self, object_id: int, mask: AnnotatedMask) -> None:
        """Raise ProjectError if a mask cannot be one of its frame: those of other objects have another size."""
        size = mask.height, mask.width
        if min(size) < 1 or int(np.sum(mask.counts, dtype=np.int64)) != mask.height * mask.width:
            raise ProjectError(
                f"the mask for frame {mask.frame} is damaged: its run lengths do not make {mask.width} x {mask.height}"
                " pixels"
            )
        query = "SELECT height, width FROM masks WHERE frame = ? AND object_id <> ? LIMIT 1"
        other = self._database.execute(query, (mask.frame, object_id)).fetchone()
        if other is not None and other != size:
            raise ProjectError(
                f"a mask of {mask.width} x {mask.height} pixels for frame {mask.frame}, where masks have"
                f" {other[1]} x {other[0]}"
            )

    def _open_up(self, action_id: int, object_id: int) -> None:
        """What is annotated is open, whatever it was before."""
        known = self.object(object_id)
        if known.state != OPEN:
            self._put_object(action_id, object_id, known.label, known.attributes, OPEN, known.reason, known.author)

    def _new_object(
        self, action_id: int, label: str, attributes: Mapping[str, str], state: str, reason: str, by: str
    ) -> int:
        """Add an object in an action. Returns its ID. Raises ProjectError if there are no more IDs."""
        # an ID that an undone action has used is not used again: others may have seen it
        (object_id,) = self._database.execute(
            "SELECT 1 + MAX(COALESCE((SELECT MAX(object_id) FROM objects), 0),"
            " COALESCE((SELECT MAX(object_id) FROM changed), 0))"
        ).fetchone()
        if object_id > MAX_OBJECT_ID:
            raise ProjectError(f"there are {MAX_OBJECT_ID} IDs, and all are used")
        self._database.execute("UPDATE actions SET object_id = ? WHERE action_id = ?", (object_id, action_id))
        self._put_object(action_id, object_id, label, attributes, state, reason, by)
        return int(object_id)

    def _put_object(
        self,
        action_id: int,
        object_id: int,
        label: str,
        attributes: Mapping[str, str],
        state: str,
        reason: str,
        author: str,
    ) -> None:
        told = json.dumps(dict(attributes), sort_keys=True)
        self._replace(action_id, "object", object_id, 0, (object_id, label, told, state, reason, author, action_id))

    def _put_mask(self, action_id: int, object_id: int, mask: AnnotatedMask, author: str) -> None:
        self._check_frame(mask.frame)
        self._check_size(object_id, mask)
        row = (
            object_id,
            mask.frame,
            mask.height,
            mask.width,
            int(mask.present),
            mask.presence,
            mask.iou,
            np.asarray(mask.counts).astype("<u4").tobytes(),
            mask.origin,
            mask.phase,
            author,
            action_id,
        )
        self._replace(action_id, "mask", object_id, mask.frame, row)

    def _put_by_hand(
        self, action_id: int, object_id: int, mask: AnnotatedMask, prompt: Prompt | None, author: str
    ) -> None:
        """Put a mask that a person made, with its prompt."""
        if mask.origin not in BY_HAND:
            raise ProjectError(f"a mask by hand is {' or '.join(BY_HAND)}, not {mask.origin}")
        self._put_mask(action_id, object_id, mask, author)
        given = to_json(Prompt(mask=mask.mask) if prompt is None else prompt)
        self._replace(action_id, "prompt", object_id, mask.frame, (object_id, mask.frame, given, author, action_id))

    def _replace(self, action_id: int, what: str, object_id: int, frame: int, row: Sequence[Any] | None) -> None:
        """Replace a row by another one (None: by nothing), and keep the earlier one for `undo`."""
        table = _TABLES[what]
        columns, (key, values) = _COLUMNS[table], _key(what, object_id, frame)
        place = action_id, what, object_id, frame
        if not self._database.execute(
            "SELECT 1 FROM changed WHERE action_id = ? AND kind = ? AND object_id = ? AND frame = ?", place
        ).fetchone():
            self._database.execute(
                f"INSERT INTO earlier_{table} SELECT ?, {columns} FROM {table} WHERE {key}", (action_id, *values)
            )
        left_by = None if row is None else row[-1]
        self._database.execute("INSERT OR REPLACE INTO changed VALUES (?, ?, ?, ?, ?)", (*place, left_by))
        self._database.execute(f"DELETE FROM {table} WHERE {key}", values)
        if row is not None:
            marks = ", ".join("?" * len(row))
            self._database.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(row))

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with sqlite_errors(self.file, REMEDIES):
            return self._database.execute(query, values).fetchall()

    def _iterate(self, made: Callable[[tuple[Any, ...]], T], query: str, *values: Any) -> Iterator[T]:
        with sqlite_errors(self.file, REMEDIES):
            for row in self._database.execute(query, values):
                yield made(row)


def _told(mask: AnnotatedMask, prompt: Prompt | None, detail: Mapping[str, Any]) -> dict[str, Any]:
    """What an action says of a mask by hand."""
    clicks = {} if prompt is None else {"clicks": len(prompt.clicks)}
    return {"origin": mask.origin, **clicks, **detail}


def _key(what: str, object_id: int, frame: int) -> tuple[str, tuple[int, ...]]:
    if what == "object":
        return "object_id = ?", (object_id,)
    return "object_id = ? AND frame = ?", (object_id, frame)


def _object(row: tuple[Any, ...]) -> AnnotatedObject:
    object_id, label, attributes, state, reason, author, action_id = row
    return AnnotatedObject(object_id, label, json.loads(attributes), state, reason, author, action_id)


def _mask(row: tuple[Any, ...]) -> AnnotatedMask:
    object_id, frame, height, width, present, presence, iou, counts, origin, phase, author, action_id = row
    lengths = np.frombuffer(counts, "<u4").astype(np.uint32)
    return AnnotatedMask(
        object_id, frame, height, width, bool(present), presence, iou, lengths, origin, phase, author, action_id
    )


def _rating(row: tuple[Any, ...]) -> Rating:
    frame, origin, present, presence, iou = row
    return Rating(frame, origin, bool(present), presence, iou)


def _action(row: tuple[Any, ...]) -> Action:
    action_id, when, annotator, kind, object_id, frame, phase, seconds, detail, undoes, undone_by = row
    return Action(
        action_id, when, annotator, kind, object_id, frame, phase, seconds, json.loads(detail), undoes, undone_by
    )


def _check_name(by: str) -> None:
    if not by.strip():
        raise ProjectError("say who does it: an annotator's name is missing")
    _check_text(by, "a name")


def _check_label(label: str) -> None:
    _check_text(label, "a label")


def _check_attributes(attributes: Mapping[str, str]) -> None:
    for key, value in attributes.items():
        _check_text(key, "an attribute's name")
        _check_text(value, f"the value of {key!r}")


def _check_text(text: str, what: str) -> None:
    """Raise ProjectError for what would break tables, file names and the formats of data sets."""
    if len(text) > MAX_LABEL:
        raise ProjectError(f"{what} of {len(text)} letters; at most {MAX_LABEL} are possible")
    if not text.isprintable():
        raise ProjectError(f"{what} with a line break or another letter that cannot be shown: {text!r}")


@contextmanager
def _damage(folder: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ProjectError(
            f"{folder} is damaged: what it says of its recording is unreadable; restore it from a copy"
        ) from error
