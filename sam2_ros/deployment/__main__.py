"""`python -m sam2_ros.deployment FOLDER`: the network as ONNX graphs, for machines without Python."""

from __future__ import annotations

from sam2_ros.requirements import require

if __name__ == "__main__":
    require("export")  # before the imports that would fail

import argparse
import sys
from pathlib import Path

from rich.console import Console

from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.checkpoints.load import check_memory, load_sam2
from sam2_ros.command_line import MODELS, CommandParser
from sam2_ros.model.config import CONFIGS

EXAMPLES = """
%(prog)s graphs
%(prog)s graphs --model sam2.1_hiera_tiny --aspect 16:9
"""


def main() -> int:
    description = "Export the network as ONNX graphs, for machines without Python."
    usage = "%(prog)s FOLDER [options]"
    parser = CommandParser("sam2_ros.deployment", description, EXAMPLES, usage)
    parser.add_argument("folder", type=Path, help="folder for the graphs, made if it is missing")
    models = f"{MODELS} (default: the one that ships)"
    parser.add_argument("--model", choices=CONFIGS, metavar="NAME", help=models)
    parser.add_argument("--checkpoint", help="weights, as for the node")
    parser.add_argument(
        "--size", type=int, metavar="N", help="images are resized to about N x N pixels (default: the model's)"
    )
    aspect = "aspect of the camera's images: 16:9, 640:480, ... The graphs fit no other (default: %(default)s)"
    parser.add_argument("--aspect", default="1:1", metavar="W:H", help=aspect)
    parser.add_argument(
        "--check",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compare the graphs with the network on a stream",
    )
    options = parser.parse_args()
    console = Console()
    try:
        from sam2_ros.acceleration.onnx.export import export
        from sam2_ros.deployment.check import compare

        model = load_sam2(options.model, options.checkpoint, "cpu", options.size, options.aspect)
        check_memory(model)
        with console.status("exporting ...") as status:
            for name in export(model, options.folder):
                size = (options.folder / f"{name}.onnx").stat().st_size / 1e6
                console.print(f"{options.folder / name}.onnx  {size:.1f} MB", highlight=False)
            if not options.check:
                return 0
            status.update("comparing ...")
            comparison = compare(model, options.folder)
    except (CheckpointError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        print(f"error: {error}. pip install 'sam2_ros[export]'", file=sys.stderr)
        return 2
    presence = "equal" if comparison.same_presence else "NOT equal"
    console.print(
        f"Largest difference of logits {comparison.difference:.1e}, presence {presence};"
        f" {1000 * comparison.onnx_seconds:.0f} ms a frame with three objects,"
        f" PyTorch {1000 * comparison.pytorch_seconds:.0f} ms",
        highlight=False,
    )
    return 0 if comparison.same_presence and comparison.difference < 1e-2 else 1


if __name__ == "__main__":
    sys.exit(main())
