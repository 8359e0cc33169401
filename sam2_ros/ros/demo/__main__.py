"""python -m sam2_ros.ros.demo: plays a video through the real graph and shows what was tracked."""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("demo")  # before the imports that would fail

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from sam2_ros.ros.demo.error import DemoError
from sam2_ros.ros.demo.generated_scene import generated_show
from sam2_ros.ros.demo.options import parser
from sam2_ros.ros.demo.own_video import own_show
from sam2_ros.ros.demo.pictures import SHEET, VIDEO, draw
from sam2_ros.ros.demo.playback import play
from sam2_ros.ros.demo.result import evaluate
from sam2_ros.ros.demo.summary_table import summary_table
from sam2_ros.ros.recording import read_recording

MIN_J_AND_F = 0.60
"""Minimum J&F on the generated scene; below, the demo fails."""


def run(options: argparse.Namespace, console: Console) -> None:
    """Runs the whole demo. Raises DemoError if the object was not tracked."""
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        if options.video is None:
            if options.prompts or options.label or options.images:
                raise DemoError(
                    "--click, --box, --mask, --label and --images go with --video; the demo scene is clicked by itself"
                )
            console.print("rendering the demo scene")
            show = generated_show(Path(scratch), options.frames)
        else:
            show = own_show(options, Path(scratch))
        for old in ("bag", "logs"):
            shutil.rmtree(out / old, ignore_errors=True)
        for old in (VIDEO, SHEET):
            (out / old).unlink(missing_ok=True)
        network = {"model": options.model, "checkpoint": options.checkpoint}
        network |= {"image_size": options.size, "image_aspect": options.aspect}
        play(show, out / "bag", out / "logs", network, console)
        result = evaluate(read_recording(out / "bag"), show)
        draw(result, show, out, console)
    console.print()
    console.print(summary_table(result, show, out), highlight=False)
    if result.total is not None and not result.total.j_and_f >= MIN_J_AND_F:
        raise DemoError(f"J&F is {100 * result.total.j_and_f:.1f}, and should be at least {100 * MIN_J_AND_F:.0f}")


def main() -> int:
    options = parser().parse_args()
    console = Console()
    interrupts: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        interrupts.append(number)
        raise KeyboardInterrupt

    for kind in (signal.SIGINT, signal.SIGTERM):  # every process that was started has to end too
        signal.signal(kind, interrupt)
    try:
        run(options, console)
    except (Exception, KeyboardInterrupt) as error:
        if interrupts:  # it may arrive anywhere, so any error now is its consequence
            console.print("interrupted; everything that was started has ended")
            return 130
        if not isinstance(error, DemoError | OSError | ValueError):
            raise
        console.print(f"[bold red]The demo failed:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
