"""Tables of `sam2_ros annotate`: whole, on terminals of any width and in files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_WIDEST = 10_000
"""Columns; what is wider is folded."""


def say_table(console: Console, names: Sequence[str], rows: Iterable[Sequence[str]], left: Iterable[str] = ()) -> None:
    """Print a table. Columns in which nothing is are left out; cells are never shortened: what is wider than the
    terminal goes on in its next line.

    Args:
        names: of the columns.
        rows: a text for each column.
        left: names of columns that are aligned to the left; the others are to the right.
    """
    rows = list(rows)
    shown = [place for place in range(len(names)) if any(row[place] for row in rows)]
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    aligned = set(left)
    for place in shown:
        table.add_column(names[place], justify="left" if names[place] in aligned else "right")
    for row in rows:
        table.add_row(*(" ".join(row[place].split()) for place in shown))
    wide = console.options.update(width=_WIDEST)
    table.width = Measurement.get(console, wide, table).maximum
    console.print(table, soft_wrap=True)
