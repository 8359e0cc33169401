"""Writes rosbag2 bags of which no more than a moment is lost, whatever ends the recording."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from sam2_ros.data.bag_metadata import QOS, TYPE_HASH, Contents, sync_folder, write_metadata
from sam2_ros.data.mcap_file import McapFile

SYNC_PERIOD = 1.0  # s


class BagWriter:
    """A bag in a folder of its own: one MCAP file with chunks compressed by zstd, and rosbag2's metadata.yaml.

    What was flushed outlives this process. Once a second it goes to the disk as well, and so outlives a power failure.
    After either, `sam2_ros.data.recovery` completes the bag.

    Args:
        folder: must not exist.

    Raises:
        OSError: the folder exists, or cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_complete = False
        """Whether it can be read as it is."""
        folder.mkdir(parents=True)
        try:
            self._file = McapFile(folder / f"{folder.resolve().name}.mcap")
        except OSError:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
            raise
        self._failure: OSError | None = None  # after which nothing more is written
        self._ending = threading.Event()
        self._sync_thread = threading.Thread(target=self._sync, name="sync", daemon=True)
        self._sync_thread.start()

    @property
    def size(self) -> int:
        """Bytes on the disk, without metadata.yaml."""
        return self._file.size

    @property
    def is_there(self) -> bool:
        """Whether nobody has deleted it."""
        return any(self.folder.glob("*.mcap"))

    @property
    def free(self) -> int:
        """Bytes that the disk has left."""
        return self._file.free

    @property
    def counts(self) -> dict[str, int]:
        """Messages on the disk, by topic."""
        counts = dict.fromkeys((channel.topic for channel in self._file.index.channels.values()), 0)
        for channel, count in self._file.index.counts.items():
            counts[self._file.index.channels[channel].topic] += count
        return counts

    def add_topic(self, topic: str, kind: str, definition: str, type_hash: str, qos: list[dict[str, Any]]) -> int:
        """Adds a topic. Returns its number.

        Args:
            topic: its name.
            kind: type of its messages, `package/msg/Name`.
            definition: of the type and of all that it refers to, as a ros2msg schema.
            type_hash: RIHS01_... or empty.
            qos: what its publishers offer, as in rosbag2's metadata.

        Raises:
            OSError: the disk is full, for instance. Close the bag then.
        """
        text = StringIO()
        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style = False
        yaml.dump(qos, text)
        with self._remembered():
            return self._file.add_channel(topic, kind, definition, {QOS: text.getvalue(), TYPE_HASH: type_hash})

    def write(self, topic: int, time: int, data: bytes) -> None:
        """Adds a serialised message that was received at `time`, ns. Raises OSError as `add_topic` does."""
        with self._remembered():
            self._file.write(topic, time, data)

    def flush(self) -> None:
        """Writes what still waits. Raises OSError as `add_topic` does, also if somebody has deleted the bag."""
        with self._remembered():
            self._file.flush()
            self._check()

    def close(self) -> None:
        """Completes the bag. Where there is no room even for the index, the last chunks are given up for it.

        Raises:
            OSError: not all that was recorded is there, and nothing has said so before. If `is_complete`, all but the
                last moment is.
        """
        self._ending.set()
        self._sync_thread.join()
        is_known, failure = self._failure is not None, None
        try:
            if not is_known:
                try:
                    self.flush()
                except OSError as error:
                    failure = error
            self._check()
            if self._file.complete():
                failure = failure or OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._file.sync()
            write_metadata(self.folder, [Contents.of(self._file.path.name, self._file.index)])
            self.is_complete = True
        finally:
            self._file.close()
        if failure is not None and not is_known:
            raise failure

    def _check(self) -> None:
        if self._file.is_removed:
            raise FileNotFoundError(errno.ENOENT, "the bag was deleted while it was being recorded")

    def _sync(self) -> None:
        synced = 0
        try:
            sync_folder(self.folder)
            while not self._ending.wait(SYNC_PERIOD):
                if (size := self._file.size) != synced:
                    self._file.sync()
                    synced = size
        except OSError as error:
            self._failure = self._failure or error

    @contextlib.contextmanager
    def _remembered(self) -> Iterator[None]:
        if self._failure is not None:
            raise self._failure
        try:
            yield
        except OSError as error:
            self._failure = error
            raise
