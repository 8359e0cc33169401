"""Completes bags of interrupted recordings, after kill -9 or a power failure, also those of other recorders.

python -m sam2_ros.data.recovery run1
"""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("recover")  # before the imports that would fail

import sys
from dataclasses import dataclass
from pathlib import Path

from mcap.reader import make_reader

from sam2_ros.command_line import CommandParser
from sam2_ros.data.bag_metadata import Contents, write_metadata
from sam2_ros.data.mcap_file import McapFile


@dataclass(frozen=True)
class Recovered:
    """Result of a recovery."""

    path: Path
    messages: int
    topics: int
    seconds: float
    damaged: int
    """Unreadable chunks. They stay in the file, but not in the index."""
    was_complete: bool
    """Whether the bag was complete already."""

    def __str__(self) -> str:
        if self.was_complete:
            return f"{self.path} is complete already"
        words = f"{self.path} is complete: {self.messages} messages on {self.topics} topics, {self.seconds:.1f} s"
        return words + (f"; {self.damaged} damaged chunks are left out" if self.damaged else "")


def recover(path: Path) -> Recovered:
    """Add the missing index and metadata.yaml to a bag (a folder, or a single MCAP file).

    It is completed in place, as the disk may be full: readable data is not changed, and only a partial record or index
    after it is overwritten; other data is saved beside it, in a file `.rest`.

    Raises:
        ValueError: nothing can be recovered, and why.
        OSError: the bag cannot be read or written.
    """
    if not path.exists():
        raise FileNotFoundError(f"no such bag: {path}")
    files = sorted(path.glob("*.mcap")) if path.is_dir() else [path]
    if not files:
        other = "; use `ros2 bag reindex` for SQLite" if any(path.glob("*.db3")) else ""
        raise ValueError(f"{path} contains no .mcap file{other}")
    completed = [_complete(file) for file in files]
    contents = [part for part, _, _ in completed]
    was_complete = all(complete for _, _, complete in completed)
    if path.is_dir() and not (was_complete and (path / "metadata.yaml").is_file()):
        write_metadata(path, contents)
        was_complete = False
    filled = [part for part in contents if part.messages]
    seconds = (max(part.end for part in filled) - min(part.start for part in filled)) / 1e9 if filled else 0.0
    topics = {channel.topic for part in contents for channel in part.channels.values()}
    damaged = sum(count for _, count, _ in completed)
    return Recovered(path, sum(part.messages for part in contents), len(topics), seconds, damaged, was_complete)


def _complete(path: Path) -> tuple[Contents, int, bool]:
    """Contents of a file, the number of its damaged chunks, and whether it was complete."""
    try:
        with open(path, "rb") as stream:
            summary = make_reader(stream).get_summary()
    except Exception:  # mcap doesn't wrap its parsers' errors
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
    parser = CommandParser("sam2_ros.data.recovery", __doc__.splitlines()[0], "%(prog)s run1\n%(prog)s runs/*/*.mcap")
    parser.add_argument("bags", nargs="+", type=Path, help="folders of bags, or MCAP files")
    return recover_all(parser.parse_args(arguments).bags)


def recover_all(bags: list[Path]) -> int:
    """Recover bags and print results. Returns the exit status."""
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
