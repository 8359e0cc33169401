"""Tables of scores: on the screen, as Markdown, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sam2_ros.evaluation.scores import ObjectScore, Summary, summary

NOTE = (
    "J&F, J and F: means over objects in percent, without the prompted frame and the clip's last. Presence: of the"
    " frames on which an object was said to be visible, how many it is on; recall: the reverse; F1: both. Switches:"
    " masks that went over to another object, or back."
)
COLUMNS = ("objects", "frames", "J&F", "J", "F", "presence", "recall", "F1", "switches")


@dataclass(frozen=True)
class Report:
    """The scores of one run over several clips."""

    settings: dict[str, str]
    """What was run: model, prompt, clips, command."""
    scores: Sequence[ObjectScore]
    groups: dict[str, str]
    """Challenge of each clip, by name; empty: none."""
    frames_per_second: float
    """Images tracked in a second, all objects of a clip together, without scoring."""

    @property
    def total(self) -> Summary:
        return summary(self.scores)

    @property
    def clips(self) -> dict[str, Summary]:
        """Summaries by clip."""
        names = dict.fromkeys(one.clip for one in self.scores)
        return {name: summary([one for one in self.scores if one.clip == name]) for name in names}

    @property
    def challenges(self) -> dict[str, Summary]:
        """Summaries by challenge."""
        names = dict.fromkeys(self.groups.values())
        return {n: summary([one for one in self.scores if self.groups.get(one.clip) == n]) for n in names}

    def print(self, console: Console) -> None:
        """Shows the tables on a screen."""
        for heading, rows in self._tables():
            table = Table(title_justify="left", header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
            table.add_column(heading, no_wrap=True)
            for column in COLUMNS:
                table.add_column(column, justify="right")
            for name, row in rows:
                table.add_row(name, *_cells(row), style="bold" if name == "all" else "")
            console.print(table)
            console.print()
        console.print(NOTE, style="dim")
        console.print(f"{self.frames_per_second:.1f} frames/s tracked, all objects of a clip together")

    def markdown(self) -> str:
        """The tables as a Markdown document."""
        lines = ["# Evaluation", ""]
        lines += [f"- {name}: {value}" for name, value in self.settings.items()]
        lines += [f"- {self.frames_per_second:.1f} frames/s tracked, all objects of a clip together", ""]
        for heading, rows in self._tables():
            lines.append(f"| {heading} | " + " | ".join(COLUMNS) + " |")
            lines.append("|---|" + "--:|" * len(COLUMNS))
            lines += [f"| {name} | " + " | ".join(_cells(row)) + " |" for name, row in rows]
            lines.append("")
        lines.append(NOTE)
        return "\n".join(lines) + "\n"

    def json(self) -> str:
        """Everything, down to each object and frame. Means over nothing are null."""
        document = {
            "settings": self.settings,
            "frames_per_second": round(self.frames_per_second, 2),
            "total": _plain(self.total),
            "challenges": {name: _plain(row) for name, row in self.challenges.items()},
            "clips": {name: _plain(row) for name, row in self.clips.items()},
            "objects": [
                {
                    "clip": one.clip,
                    "object_id": one.object_id,
                    "frame": [frame.frame for frame in one.frames],
                    "j": [round(frame.j, 5) for frame in one.frames],
                    "f": [round(frame.f, 5) for frame in one.frames],
                    "visible": [frame.visible for frame in one.frames],
                    "present": [frame.present for frame in one.frames],
                    "switches": one.switches,
                }
                for one in self.scores
            ],
        }
        return json.dumps(document, indent=1)

    def save(self, folder: Path) -> None:
        """Writes scores.md and scores.json."""
        (folder / "scores.md").write_text(self.markdown())
        (folder / "scores.json").write_text(self.json())

    def _tables(self) -> list[tuple[str, list[tuple[str, Summary]]]]:
        tables = [("clip", [*self.clips.items(), ("all", self.total)])]
        return tables + ([("challenge", list(self.challenges.items()))] if self.groups else [])


def _cells(row: Summary) -> list[str]:
    percents = [row.j_and_f, row.j, row.f, row.presence_precision, row.presence_recall, row.presence_f1]
    return [
        str(row.objects),
        str(row.frames),
        *("-" if math.isnan(value) else f"{100 * value:.1f}" for value in percents),
        str(row.switches),
    ]


def _plain(row: Summary) -> dict[str, float | int | None]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else round(value, 5)
        for name, value in asdict(row).items()
    }
