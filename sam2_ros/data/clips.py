"""Sequences of clips that are opened one at a time, and the errors of damaged ones."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

from sam2_ros.data.clip import Clip

Item = TypeVar("Item")


class ClipError(ValueError):
    """A file of a data set is missing, damaged or invalid.

    Args:
        file: the file or folder.
        problem: the problem, as the end of a sentence that begins with the file.
        frame: index of the frame in its clip; None: not about a single frame.
    """

    def __init__(self, file: str | Path, problem: str, frame: int | None = None) -> None:
        super().__init__(file, problem, frame)
        self.file = Path(file)
        self.problem = problem
        self.frame = frame

    def __str__(self) -> str:
        return f"{self.file}{'' if self.frame is None else f', frame {self.frame}'}: {self.problem}"


class DataWarning(UserWarning):
    """A part of a data set was left out, or an ambiguous format was guessed. One warning for each data set."""


class Lazy(Sequence[Item]):
    """A sequence that computes items on every access, without caching. Slices are lazy, too.

    Args:
        length: number of items.
        item: computes the item of an index, 0 .. length - 1.
    """

    def __init__(self, length: int, item: Callable[[int], Item]) -> None:
        self._indices = range(length)
        self._item = item

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            part: Lazy[Item] = Lazy(0, self._item)
            part._indices = self._indices[index]
            return part
        return self._item(self._indices[index])

    def __iter__(self) -> Iterator[Item]:  # Sequence's own would end at an IndexError in decoding
        return (self._item(index) for index in self._indices)


class Clips(Sequence[Clip]):
    """The clips of a data set, opened on access, which raises ClipError for a damaged one.

    Args:
        names: unique names of the clips.
        read: opens a clip by name. The sequence can be pickled (for data loaders with worker processes) if this can.
    """

    def __init__(self, names: Sequence[str], read: Callable[[str], Clip]) -> None:
        self.names = tuple(names)
        self._read = read

    def beginning(self, prefixes: tuple[str, ...]) -> Clips:
        """The clips whose names begin with one of the prefixes."""
        return Clips([name for name in self.names if name.startswith(prefixes)], self._read)

    def listed(self, names: Collection[str]) -> Clips:
        """The clips with these names; unknown names are ignored."""
        return Clips([name for name in self.names if name in names], self._read)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: Any) -> Any:  # int -> Clip, slice -> Clips
        if isinstance(index, slice):
            return Clips(self.names[index], self._read)
        return self._read(self.names[index])

    def __iter__(self) -> Iterator[Clip]:
        return (self._read(name) for name in self.names)


class Joined(Sequence[Clip]):
    """Concatenation of several data sets. Opening a clip raises the errors of its own data set."""

    def __init__(self, parts: Sequence[Sequence[Clip]]) -> None:
        self.parts = tuple(parts)
        self._ends = list(accumulate(map(len, self.parts)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: Any) -> Any:  # int -> Clip, slice -> Lazy
        if isinstance(index, slice):
            return Lazy(len(self), self.__getitem__)[index]
        index = range(len(self))[index]
        part = bisect_right(self._ends, index)
        return self.parts[part][index - (self._ends[part] - len(self.parts[part]))]

    def __iter__(self) -> Iterator[Clip]:  # Sequence's own would end at an IndexError in decoding
        return (clip for part in self.parts for clip in part)


def read_list(file: str | Path) -> list[str]:
    """Unique names of clips in a text file, one per line. Raises ClipError."""
    file = Path(file)
    try:
        text = file.read_text("utf-8-sig", errors="surrogateescape")  # as names of files are
    except FileNotFoundError as error:
        raise ClipError(file, "the list of clips is missing") from error
    except OSError as error:
        raise ClipError(file, f"cannot be read as a list of clips: {error.strerror}") from error
    names = list(dict.fromkeys(name for line in text.splitlines() if (name := line.strip().rstrip("/"))))
    if not names:
        raise ClipError(file, "the list of clips is empty")
    return names


def from_list(file: str | Path, data_sets: Sequence[Clips], where: str) -> list[Clips]:
    """Select the clips that a text file names from data sets; data sets without any are left out.

    Args:
        file: names, one per line.
        data_sets: the data sets.
        where: their name in messages.

    Raises:
        ClipError: the file can't be read, or names a clip that no data set has.
    """
    names = read_list(file)
    if missing := set(names) - {name for clips in data_sets for name in clips.names}:
        raise ClipError(file, f"there is no clip {min(missing)} in {where}")
    return [chosen for clips in data_sets if (chosen := clips.listed(names))]


def undamaged(clips: Sequence[Clip], errors: list[ClipError]) -> Iterator[Clip]:
    """Yield the clips without damage; the errors of the others are appended to `errors`.

    Each clip is decoded completely before it is yielded, because decoding finds damage.
    """
    for index in range(len(clips)):
        try:
            clip = clips[index]
            for _ in zip(clip.frames, clip.masks, strict=True):
                pass
        except ClipError as error:
            errors.append(error)
        else:
            yield clip
