"""Reports of an evaluation: tables on the screen, as Markdown and as JSON, and curves."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich import box, table
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:  # who reads reports needs no PyTorch
    from sam2_ros.acceleration import Network
    from sam2_ros.model.sam2 import SAM2

MAX_LISTED_CLIPS = 100
"""Maximum number of rows of clips in a table, which otherwise shows only the mean; and of contact sheets."""

ALL = "all"
"""Name of the row of all clips."""


class Table(NamedTuple):
    """Rows of cells under a heading."""

    heading: str
    """Header of the first column, which holds the names of rows."""
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


class Curves(NamedTuple):
    """Lines of one figure."""

    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    """x and y of each line, by name."""
    x: str
    """Labels of the axes."""
    y: str


@dataclass(frozen=True)
class Report:
    """The result of one run over several clips."""

    settings: Mapping[str, str]
    """Model, protocol, clips, command."""
    tables: Sequence[Table]
    notes: Sequence[str]
    """Explanations of the columns, and warnings; a sentence or two each."""
    data: Mapping[str, object]
    """Scores of each object and frame; written to the JSON beside the settings."""
    curves: Curves

    def print(self, console: Console) -> None:
        """Print the tables and notes."""
        for heading, columns, rows in self.tables:
            shown = table.Table(title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
            shown.add_column(heading, no_wrap=True)
            for column in columns:
                shown.add_column(column, justify="right")
            for name, cells in rows:
                shown.add_row(Text(name), *cells, style="bold" if name == ALL else "")
            console.print(shown)
        for note in self.notes:
            console.print(note, style="dim", highlight=False, markup=False)

    def markdown(self) -> str:
        """The tables as a Markdown document."""
        lines = ["# Evaluation", "", *(f"- {name}: {value}" for name, value in self.settings.items()), ""]
        for heading, columns, rows in self.tables:
            lines += [f"| {' | '.join([heading, *columns])} |", "|---|" + "--:|" * len(columns)]
            lines += [f"| {' | '.join([_cell(name), *cells])} |" for name, cells in rows] + [""]
        return "\n".join([*lines, "\n\n".join(self.notes), ""])

    def json(self) -> str:
        """Settings and data. Undefined means are null."""
        content = {"settings": dict(self.settings)} | {key: plain(value) for key, value in self.data.items()}
        return json.dumps(content, indent=1, allow_nan=False)

    def save(self, folder: Path, name: str = "scores") -> None:
        """Write `name`.md and `name`.json into a folder, which is created if missing. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(self.markdown(), "utf-8", errors="backslashreplace")
        (folder / f"{name}.json").write_text(self.json())


@dataclass(frozen=True)
class Rows:
    """The clips of each row of a table."""

    clips: Sequence[str]
    challenges: Mapping[str, str] = field(default_factory=dict)
    """Challenge of each clip; empty: none."""

    def by_clip(self) -> dict[str, set[str]]:
        return {name: {name} for name in self.clips}

    def by_challenge(self) -> dict[str, set[str]]:
        names = dict.fromkeys(self.challenges.get(clip, "") for clip in self.clips)
        return {n: {clip for clip in self.clips if self.challenges[clip] == n} for n in names if n}

    def tables(self) -> dict[str, dict[str, set[str]]]:
        """Rows by heading: clips and all of them; challenges, if there are any."""
        tables = {"clip": {**(self.by_clip() if len(self.clips) <= MAX_LISTED_CLIPS else {}), ALL: set(self.clips)}}
        return {**tables, "challenge": self.by_challenge()} if self.challenges else tables

    def lines(self) -> dict[str, set[str]]:
        """Rows of a readable figure: challenges, or else clips if there are few; and all of them."""
        parts = self.by_challenge() or (self.by_clip() if 1 < len(self.clips) <= 8 else {})
        return {**parts, ALL: set(self.clips)}


def model_settings(model: SAM2 | Network, checkpoint: Path | None) -> dict[str, str]:
    """What a report says of the model. Without a checkpoint, it has the weights that ship with the package."""
    return {
        "model": model.config.name,
        "checkpoint": str(checkpoint or "shipped"),
        "size": str(model.config.image_size),
        "aspect": model.config.aspect,
        "device": str(model.device),
    }


def _cell(name: str) -> str:
    """A name, escaped for a Markdown table."""
    return " ".join(name.splitlines()).replace("|", "\\|")


def percent(value: float) -> str:
    """A share, 0 .. 1, as a cell of a table."""
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def mean(values: Iterable[float]) -> float:
    """Mean; NaN without values."""
    values = list(values)
    return math.fsum(values) / len(values) if values else math.nan


def plain(value: object) -> object:
    """Convert a value for JSON: NaN to None, numbers rounded to five digits."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 5)
    return value
