"""What commands write, as rich writes it to a terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from sam2_ros.commands.progress import Progress
from sam2_ros.desk.recorded.terminal_output import KEPT, TerminalOutput


def terminal(screen: StringIO) -> Console:
    return Console(file=screen, force_terminal=True, color_system="standard", width=160, highlight=False)


def test_progress_and_lines() -> None:
    screen, output = StringIO(), TerminalOutput()
    console = terminal(screen)
    with Progress(console) as progress:
        for done in range(1, 8):
            progress.on_output(done, 20, "sav")
            console.print("note: three images are damaged")
    console.print("data/sav  SA-V: videos")
    for byte in screen.getvalue().encode():  # however it is cut into pieces
        output.feed(bytes([byte]))
    output.close()
    assert (output.done, output.total) == (7, 20)
    assert output.doing.startswith("writing")
    assert list(output.lines) == ["note: three images are damaged", "data/sav  SA-V: videos"]


def test_bars_without_counts() -> None:
    """Those of fine-tuning are in percent."""
    screen, output = StringIO(), TerminalOutput()
    columns = TextColumn("{task.description:<18}"), BarColumn(40), TextColumn("{task.percentage:3.0f} %")
    with Bars(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=terminal(screen)) as bars:
        bars.update(bars.add_task("training", total=1.0), completed=0.37)
    output.feed(screen.getvalue().encode())
    output.close()
    assert (output.done, output.total, output.doing) == (37, 100, "training")
    assert not output.lines


def test_only_the_newest_lines_are_kept() -> None:
    output = TerminalOutput()
    output.feed("".join(f"line {number}\r\n" for number in range(3 * KEPT)).encode() + b"the end, without a break")
    assert len(output.lines) == KEPT and output.lines[-1] == f"line {3 * KEPT - 1}"
    output.close()
    assert output.lines[-1] == "the end, without a break"
