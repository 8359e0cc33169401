"""The export of a network to a folder of ONNX graphs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from sam2_ros.acceleration.onnx.classes import ONNX_CLASSES
from sam2_ros.acceleration.onnx.config import write_config
from sam2_ros.acceleration.onnx.graphs import Functions, Graph
from sam2_ros.acceleration.twin import twin_of
from sam2_ros.model.input_size import IMAGE
from sam2_ros.model.sam2 import SAM2

OPSET = 18


class _Module(nn.Module):
    """One function as a module, since PyTorch exports modules."""

    def __init__(self, functions: Functions, graph: Graph) -> None:
        super().__init__()
        self.functions = functions
        self.graph = graph

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self.graph.function(*inputs)


def export(model: SAM2, folder: Path) -> Iterator[str]:
    """Write one graph per function of the network, and yield the name of each when it is written.

    Args:
        model: in eval mode, float32, on a CPU, with images of a given aspect.
        folder: created if missing. Graphs in it are replaced.

    Raises:
        ValueError: the model keeps the aspect of each image, and graphs are for one aspect.
    """
    if model.config.aspect == IMAGE:
        raise ValueError("graphs are for images of one aspect: choose it, as in load_model(aspect='16:9')")
    folder.mkdir(parents=True, exist_ok=True)
    for verbose in ("torch.onnx", "onnx_ir", "onnxscript"):
        logging.getLogger(verbose).setLevel(logging.ERROR)
    functions = Functions(twin_of(model, ONNX_CLASSES, torch.float32))
    for name, graph in functions.graphs().items():
        lengths = {axis: torch.export.Dim(axis, min=1) for axes in graph.dynamic.values() for axis in axes}
        shapes = tuple(
            {index: lengths[axis] for index, axis in enumerate(graph.dynamic.get(key, ()))} or None
            for key in graph.inputs
        )
        inputs = tuple(graph.inputs.values())
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph.function(*inputs)  # fills the cache of position encodings, which become constants of the graphs
            program = torch.export.export(_Module(functions, graph), inputs, dynamic_shapes=(shapes,), strict=False)
            torch.onnx.export(
                program,
                f=folder / f"{name}.onnx",
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_shapes=(shapes,),  # names the axes
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
        yield name
    write_config(model.config, folder)
