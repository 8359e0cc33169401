"""Crash-safe writer of rosbag2 bags: however a recording ends, at most the last second is lost."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from mcap.records import Channel, ChunkIndex, Schema
from ruamel.yaml import YAML

from sam2_ros.data.bag_metadata import QOS, TYPE_HASH, Contents, sync_folder, write_metadata
from sam2_ros.data.mcap_file import McapFile

SYNC_PERIOD = 1.0
"""Seconds between two syncs to the disk."""


class BagWriter:
    """A bag in its own folder: one MCAP file with chunks compressed by zstd, and rosbag2's metadata.yaml.

    Flushed messages survive this process. Once a second they are synced to the disk, and survive a power failure, too.
    After either, `sam2_ros.data.recovery` completes the bag.

    Args:
        folder: folder of the bag, which must not exist.

    Raises:
        OSError: the folder exists, or cannot be created or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_complete = False
        """Whether the bag was completed."""
        self.type_hashes: dict[str, str] = {}
        """Hashes of types by topic, for channels that lack them: those of copied files."""
        self.custom_data: dict[str, str] | None = None
        """The user's entry in metadata.yaml."""
        folder.mkdir(parents=True)
        try:
            self._file = McapFile(folder / f"{folder.resolve().name}.mcap")
        except OSError:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
            raise
        self._failure: OSError | None = None  # no writes after the first one
        self._ending = threading.Event()
        self._sync_thread = threading.Thread(target=self._sync, name="sync", daemon=True)
        self._sync_thread.start()

    @property
    def size(self) -> int:
        """Bytes on the disk, without metadata.yaml."""
        return self._file.size

    @property
    def exists(self) -> bool:
        """Whether the bag still exists; it may be deleted during the recording."""
        return any(self.folder.glob("*.mcap"))

    @property
    def free(self) -> int:
        """Free bytes on its disk."""
        return self._file.free

    @property
    def counts(self) -> dict[str, int]:
        """Number of written messages, by topic."""
        counts = dict.fromkeys((channel.topic for channel in self._file.index.channels.values()), 0)
        for channel, count in self._file.index.counts.items():
            counts[self._file.index.channels[channel].topic] += count
        return counts

    def add_topic(
        self,
        topic: str,
        kind: str,
        definition: str,
        type_hash: str,
        qos: list[dict[str, Any]],
        encoding: str = "ros2msg",
    ) -> int:
        """Add a topic. Returns its number.

        Args:
            topic: name.
            kind: type of messages, `package/msg/Name`.
            definition: schema of the type and of all types that it contains.
            type_hash: RIHS01_... or empty.
            qos: profiles that publishers offer, as in rosbag2's metadata.
            encoding: of the definition, ros2msg or ros2idl; empty: there is none.

        Raises:
            OSError: the disk is full, for instance; close the bag then.
        """
        text = StringIO()
        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style = False
        yaml.dump(qos, text)
        with self._writing():
            metadata = {QOS: text.getvalue(), TYPE_HASH: type_hash}
            return self._file.add_channel(topic, kind, definition, metadata, encoding)

    def add_channels(self, schemas: Mapping[int, Schema], channels: Mapping[int, Channel], taken: int) -> None:
        """Add the topics of another file with their numbers; see `McapFile.add_channels`."""
        with self._writing():
            self._file.add_channels(schemas, channels, taken)

    def write(
        self, topic: int, time: int, data: bytes | memoryview, sent: int | None = None, sequence: int = 0
    ) -> None:
        """Add a serialised message, received at `time`, ns; see `McapFile.write`. Raises OSError like `add_topic`."""
        with self._writing():
            self._file.write(topic, time, data, sent, sequence)

    def copy_chunk(self, records: bytes, index: ChunkIndex, counts: Mapping[int, int]) -> None:
        """Add a chunk of another file as it is; see `McapFile.copy_chunk`."""
        with self._writing():
            self._file.copy_chunk(records, index, counts)

    def flush(self) -> None:
        """Write pending messages. Raises OSError like `add_topic`, also if the bag was deleted."""
        with self._writing():
            self._file.flush()
            self._check()

    def close(self) -> None:
        """Complete the bag. If the disk has no room for the index, it replaces the last chunks.

        Raises:
            OSError: messages are missing, and no earlier error has said so. If `is_complete`, only the last ones are.
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
            contents = Contents.of(self._file.path.name, self._file.index)
            write_metadata(self.folder, [contents], self.type_hashes, self.custom_data)
            self.is_complete = True
        finally:
            self._file.close()
        if failure is not None and not is_known:
            raise failure

    def abandon(self) -> None:
        """Leave the bag incomplete, as after the end of this process."""
        self._ending.set()
        self._sync_thread.join()
        self._file.close()

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
    def _writing(self) -> Iterator[None]:
        if self._failure is not None:
            raise self._failure
        try:
            yield
        except OSError as error:
            self._failure = error
            raise
