"""The commands that do in a terminal what a desk does as a job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

EXPORTED, TUNED = "export", "tuned"
"""Folders in a project: data sets, and new weights."""

_TUNED = ("model", "checkpoint", "device")
"""Options of the model that fine-tuning has as well."""


@dataclass(frozen=True)
class Commands:
    """Arguments of `sam2_ros`."""

    folder: Path
    """Of the project."""
    recording: Path
    model: Mapping[str, object] = field(default_factory=dict)
    """Options of the model that were given: `model`, `checkpoint`, `size`, `aspect`, `device`; None: it was not."""

    def propose(self) -> list[object]:
        """Find everything, and propose it."""
        return ["annotate", "new", self.recording, self.folder, "--propose", *self._options(self.model)]

    def export(self, formats: Iterable[str], unverified: bool = False, verified_only: bool = False) -> list[object]:
        flags = [*(["--unverified"] if unverified else []), *(["--verified-only"] if verified_only else [])]
        return ["annotate", "export", self.folder, "--out", self.folder / EXPORTED, *flags, "--format", *formats]

    def fine_tune(self, minutes: float) -> list[object]:
        options = self._options(_TUNED)
        return [
            "annotate",
            "fine-tune",
            self.folder,
            "--out",
            self.folder / TUNED,
            "--minutes",
            f"{minutes:g}",
            *options,
        ]

    def _options(self, names: Iterable[str]) -> list[object]:
        given = [(name, self.model.get(name)) for name in names]
        return [word for name, value in given if value is not None for word in (f"--{name}", value)]
