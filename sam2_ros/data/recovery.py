"""Completes bags whose recording was cut off: by kill -9, by a power failure, by a recorder of another program.

python -m sam2_ros.data.recovery run1
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from mcap.reader import make_reader

from sam2_ros.data.bag_metadata import Contents, write_metadata
from sam2_ros.data.mcap_file import McapFile

COMMAND = "python -m sam2_ros.data.recovery"


@dataclass(frozen=True)
class Recovered:
    """What is in a bag now."""

    path: Path
    messages: int
    topics: int
    seconds: float
    damaged: int
    """Chunks that cannot be read; they stay where they are, but are not in the index."""
    was_complete: bool
    """Nothing had to be done."""

    def __str__(self) -> str:
        if self.was_complete:
            return f"{self.path} is complete already"
        words = f"{self.path} is complete: {self.messages} messages on {self.topics} topics, {self.seconds:.1f} s"
        return words + (f"; {self.damaged} damaged chunks are left out" if self.damaged else "")


def recover(path: Path) -> Recovered:
    """Gives a bag (a folder, or an MCAP file alone) the index and the metadata.yaml that it lacks.

    That is done in place, as disks may be full: what can be read is not touched, and what follows it is overwritten
    only if it is the beginning of a record or an index; anything else is kept beside it, in a file `.rest`.

    Raises:
        ValueError: there is nothing to recover, and why.
        OSError: it cannot be read or written.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}")
    files = sorted(path.glob("*.mcap")) if path.is_dir() else [path]
    if not files:
        other = "; `ros2 bag reindex` does that for SQLite" if any(path.glob("*.db3")) else ""
        raise ValueError(f"{path} holds no .mcap file{other}")
    found = [_complete(file) for file in files]
    contents = [one for one, _, _ in found]
    was_complete = all(complete for _, _, complete in found)
    if path.is_dir() and not (was_complete and (path / "metadata.yaml").is_file()):
        write_metadata(path, contents)
        was_complete = False
    filled = [one for one in contents if one.messages]
    seconds = (max(one.end for one in filled) - min(one.start for one in filled)) / 1e9 if filled else 0.0
    topics = {channel.topic for one in contents for channel in one.channels.values()}
    damaged = sum(count for _, count, _ in found)
    return Recovered(path, sum(one.messages for one in contents), len(topics), seconds, damaged, was_complete)


def _complete(path: Path) -> tuple[Contents, int, bool]:
    """What is in a file, its damaged chunks, and whether it was complete."""
    try:
        with open(path, "rb") as stream:
            summary = make_reader(stream).get_summary()
    except Exception:  # mcap lets through what its parsers raise at the end of a file that was cut off
        summary = None
    if summary is not None and summary.statistics is not None:
        statistics = summary.statistics
        times = statistics.message_start_time, statistics.message_end_time
        counts = dict(statistics.channel_message_counts)
        return Contents(path.name, summary.schemas, summary.channels, counts, *times), 0, True
    file, damaged = McapFile.recover(path)
    try:
        file.complete()
        file.sync()
        return Contents.of(path.name, file.index), damaged, False
    finally:
        file.close()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__.splitlines()[0])
    parser.add_argument("bags", nargs="+", type=Path, help="folders of bags, or MCAP files")
    return recover_all(parser.parse_args(arguments).bags)


def recover_all(bags: list[Path]) -> int:
    """Recovers bags and prints what came of it. Returns the exit status."""
    status = 0
    for bag in bags:
        try:
            print(recover(bag))
        except (ValueError, OSError) as error:
            print(f"not recovered: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
