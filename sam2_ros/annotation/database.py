"""The SQLite database of an annotation project: its tables, and SQLite's errors as errors that say what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sam2_ros.recordings.sqlite_errors import Remedies, sqlite_errors

FORM = 1
"""Of the tables."""

BUSY_TIMEOUT = 30.0
"""Seconds to wait for another process's transaction."""

REMEDIES = Remedies(
    full="the disk is full; make room, nothing that was answered is lost",
    read_only="cannot be written; is its folder read-only?",
    locked=f"another process has held it for {BUSY_TIMEOUT:.0f} s; end that one",
    damaged="is damaged, or no annotation project; restore it from a copy",
)

OBJECT_COLUMNS = "object_id, label, attributes, state, reason, author, action_id"
MASK_COLUMNS = "object_id, frame, height, width, present, presence, iou, counts, origin, phase, author, action_id"
PROMPT_COLUMNS = "object_id, frame, prompt, author, action_id"

_OBJECT = """
    object_id INTEGER NOT NULL, label TEXT NOT NULL, attributes TEXT NOT NULL, state TEXT NOT NULL,
    reason TEXT NOT NULL, author TEXT NOT NULL, action_id INTEGER NOT NULL"""
_MASK = """
    object_id INTEGER NOT NULL, frame INTEGER NOT NULL, height INTEGER NOT NULL, width INTEGER NOT NULL,
    present INTEGER NOT NULL, presence REAL NOT NULL, iou REAL NOT NULL, counts BLOB NOT NULL, origin TEXT NOT NULL,
    phase INTEGER NOT NULL, author TEXT NOT NULL, action_id INTEGER NOT NULL"""
_PROMPT = """
    object_id INTEGER NOT NULL, frame INTEGER NOT NULL, prompt TEXT NOT NULL, author TEXT NOT NULL,
    action_id INTEGER NOT NULL"""

# `changed` has what an action has changed, and which action had made what was there afterwards (NULL: nothing was); the
# tables earlier_* have what was there before.
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS project (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS objects ({_OBJECT}, PRIMARY KEY (object_id));
CREATE TABLE IF NOT EXISTS masks ({_MASK}, PRIMARY KEY (object_id, frame));
CREATE INDEX IF NOT EXISTS masks_by_frame ON masks (frame, object_id);
CREATE TABLE IF NOT EXISTS prompts ({_PROMPT}, PRIMARY KEY (object_id, frame));
CREATE TABLE IF NOT EXISTS actions (
    action_id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, annotator TEXT NOT NULL, kind TEXT NOT NULL,
    object_id INTEGER, frame INTEGER, phase INTEGER, seconds REAL NOT NULL, detail TEXT NOT NULL,
    undoes INTEGER, undone_by INTEGER);
CREATE TABLE IF NOT EXISTS changed (
    action_id INTEGER NOT NULL, kind TEXT NOT NULL, object_id INTEGER NOT NULL, frame INTEGER NOT NULL,
    left_by INTEGER, PRIMARY KEY (action_id, kind, object_id, frame));
CREATE TABLE IF NOT EXISTS earlier_objects (
    changed_by INTEGER NOT NULL, {_OBJECT}, PRIMARY KEY (changed_by, object_id));
CREATE TABLE IF NOT EXISTS earlier_masks (
    changed_by INTEGER NOT NULL, {_MASK}, PRIMARY KEY (changed_by, object_id, frame));
CREATE TABLE IF NOT EXISTS earlier_prompts (
    changed_by INTEGER NOT NULL, {_PROMPT}, PRIMARY KEY (changed_by, object_id, frame));
COMMIT;
"""


def opened(file: Path) -> sqlite3.Connection:
    """The database in a file, made if it is missing. Any number of processes may have it open.

    Raises:
        OSError: it cannot be written, is damaged, or is no such database; the message says what to do.
    """
    with sqlite_errors(file, REMEDIES):
        database = sqlite3.connect(file, timeout=BUSY_TIMEOUT, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")  # what was answered survives a power cut as well
            if not _has_form(database):  # the tables of another form stay as they are
                database.executescript(_SCHEMA)
        except BaseException:
            database.close()
            raise
    return database


def _has_form(database: sqlite3.Connection) -> bool:
    """Whether it is complete, in this form or another one."""
    if not database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'project'").fetchone():
        return False
    return database.execute("SELECT 1 FROM project WHERE key = 'form'").fetchone() is not None
