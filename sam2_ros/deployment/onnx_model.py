"""The network as its exported graphs compute it, run by ONNX Runtime."""

from __future__ import annotations

import json
import reprlib
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from sam2_ros.deployment.export import CONFIG
from sam2_ros.deployment.graphs import DECODED, FEATURES, GRAPHS
from sam2_ros.model.checkpoint import CheckpointError
from sam2_ros.model.config import SAM2Config
from sam2_ros.model.prompt_encoder import no_points
from sam2_ros.model.sam2 import SAM2, Decoded, ImageFeatures, Memories

MAX_CONFIG = 1 << 16
"""Bytes of a config.json; 1,000 are usual."""

MAX_NUMBER = 1 << 16
"""No size or count in it is larger."""

T = TypeVar("T")


def exported_config(folder: str | Path) -> SAM2Config:
    """Of the network whose graphs are in a folder.

    Raises:
        FileNotFoundError: the folder holds none.
        CheckpointError: it is not what `export` writes.
    """
    file = Path(folder) / CONFIG
    try:
        with open(file, "rb") as opened:
            text = opened.read(MAX_CONFIG + 1)
        if len(text) > MAX_CONFIG:
            raise CheckpointError(f"{file}: has more than {MAX_CONFIG} bytes. {_AGAIN}")
        content = json.loads(text)
    except FileNotFoundError:
        raise FileNotFoundError(f"{file}: no such file. {_AGAIN}") from None
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: not readable as JSON ({error}). {_AGAIN}") from error
    return _parsed(SAM2Config, content, f"{file}: ")


_AGAIN = "`python -m sam2_ros.deployment` writes it beside the graphs; export them again."


def _parsed(kind: type[T], content: object, where: str) -> T:
    """An object of a dataclass, from JSON whose every value is looked at."""
    if not isinstance(content, dict):
        raise CheckpointError(f"{where}{reprlib.repr(content)} instead of an object with keys. {_AGAIN}")
    types = get_type_hints(kind)
    if unknown := [key for key in content if key not in types]:
        raise CheckpointError(f"{where}the key {unknown[0][:50]!r} is unknown. {_AGAIN}")
    values = {}
    for field in fields(kind):
        if field.name in content:
            values[field.name] = _value(types[field.name], content[field.name], f"{where}{field.name}")
        elif field.default is MISSING:
            raise CheckpointError(f"{where}the key {field.name!r} is missing. {_AGAIN}")
    try:
        return kind(**values)
    except ValueError as error:
        raise CheckpointError(f"{where}{error}") from error


def _value(kind: Any, value: object, where: str) -> Any:
    if is_dataclass(kind):
        return _parsed(kind, value, f"{where}.")
    items = get_args(kind)
    if get_origin(kind) is tuple:
        many = len(value) if items[-1] is Ellipsis and isinstance(value, list) else len(items)
        if isinstance(value, list) and len(value) == many and all(_is_number(item, 0) for item in value):
            return tuple(value)
        expected = "a list of whole numbers" if items[-1] is Ellipsis else f"a list of {len(items)} whole numbers"
    elif kind is str:
        if isinstance(value, str) and 0 < len(value) < 100:
            return value
        expected = "a text"
    elif kind is bool:
        if isinstance(value, bool):
            return value
        expected = "true or false"
    elif kind is int:
        if _is_number(value, 1):
            return value
        expected = f"a whole number from 1 to {MAX_NUMBER}"
    else:
        if value is None and type(None) in items:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_NUMBER:
            return float(value)
        expected = "a number"
    raise CheckpointError(f"{where} is {reprlib.repr(value)} instead of {expected}. {_AGAIN}")


def _is_number(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= MAX_NUMBER


class OnnxSAM2:
    """Stands in for `SAM2` in a `Tracker`: the proof that the graphs do the same, and a pattern for other languages.

    Args:
        folder: what `export` has written.
        providers: of ONNX Runtime, for instance ("TensorrtExecutionProvider", "CUDAExecutionProvider").
        threads: of one operation; 0: as ONNX Runtime thinks.

    Raises:
        FileNotFoundError: something is missing in the folder.
        CheckpointError: something in it is damaged, or belongs to another network.
    """

    device = torch.device("cpu")
    """Where tensors go in and come out."""

    def __init__(
        self, folder: str | Path, providers: tuple[str, ...] = ("CPUExecutionProvider",), threads: int = 0
    ) -> None:
        import onnxruntime

        folder = Path(folder)
        self.config = exported_config(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # it costs more than it brings
        files = {name: folder / f"{name}.onnx" for name in GRAPHS}
        if missing := [file.name for file in files.values() if not file.is_file()]:
            raise FileNotFoundError(f"{folder}: lacks {', '.join(missing)}. {_AGAIN}")
        self._sessions = {}
        for name, file in files.items():
            try:
                self._sessions[name] = onnxruntime.InferenceSession(file, options, providers=list(providers))
            except Exception as error:  # ONNX Runtime has many, with nothing in common
                said = str(error).splitlines()[0][:200]
                raise CheckpointError(f"{file}: not a readable graph ({said}). {_AGAIN}") from error
        self._check_shapes(folder)

    def _check_shapes(self, folder: Path) -> None:
        """Raises CheckpointError where the graphs are another network's than config.json says."""
        height, width = self.config.shape(1, 1)
        expected = {
            "encode_image": (1, 3, height, width),
            "condition": (None, None, self.config.memory_dim, height // 16, width // 16),
            "decode": (None, self.config.dim, height // 16, width // 16),
        }
        names = {"encode_image": "image", "condition": "maps", "decode": "conditioned"}
        for graph, shape in expected.items():
            found = {node.name: node.shape for node in self._sessions[graph].get_inputs()}.get(names[graph])
            if found is None or len(found) != len(shape):
                raise CheckpointError(f"{folder / graph}.onnx: is no such graph of sam2_ros.deployment's. {_AGAIN}")
            if any(ours is not None and ours != theirs for ours, theirs in zip(shape, found, strict=True)):
                raise CheckpointError(
                    f"{folder / graph}.onnx: takes {names[graph]} {found}, which is another network's than what"
                    f" {CONFIG} says. {_AGAIN}"
                )

    def _run(self, graph: str, **inputs: Tensor) -> list[Tensor]:
        arrays = {name: value.contiguous().numpy() for name, value in inputs.items()}
        return [torch.from_numpy(array) for array in self._sessions[graph].run(None, arrays)]

    def encode_image(self, image: Tensor) -> ImageFeatures:
        return ImageFeatures(**dict(zip(FEATURES, self._run("encode_image", image=image), strict=True)))

    def without_memory(self, features: ImageFeatures) -> Tensor:
        return self._run("without_memory", stride16=features.stride16)[0]

    def condition(self, features: ImageFeatures, memories: Memories) -> Tensor:
        pointers, pointer_age, pointer_valid = memories.pointers, memories.pointer_age, memories.pointer_valid
        if not pointers.shape[1]:  # there is none yet: one that does not count
            pointers, pointer_age = (
                torch.zeros(x.shape[0], 1, *x.shape[2:], dtype=x.dtype) for x in (pointers, pointer_age)
            )
            pointer_valid = torch.zeros_like(pointer_age, dtype=torch.bool)
        map_valid = memories.map_valid
        return self._run(
            "condition",
            stride16=features.stride16,
            maps=memories.maps,
            map_age=memories.map_age,
            map_valid=torch.ones_like(memories.map_age, dtype=torch.bool) if map_valid is None else map_valid,
            pointers=pointers,
            pointer_age=pointer_age,
            pointer_valid=torch.ones_like(pointer_age, dtype=torch.bool) if pointer_valid is None else pointer_valid,
        )[0]

    def decode(
        self,
        conditioned: Tensor,
        features: ImageFeatures,
        points: Tensor | None = None,
        labels: Tensor | None = None,
        mask_prompt: Tensor | None = None,
        multimask: bool | Tensor = True,
    ) -> Decoded:
        n = conditioned.shape[0]
        if points is None or labels is None:
            points, labels = no_points(n, conditioned)
        found = self._run(
            "decode" if mask_prompt is None else "refine",
            conditioned=conditioned,
            stride4=features.stride4,
            stride8=features.stride8,
            points=points,
            labels=labels,
            multimask=torch.as_tensor(multimask).expand(n),
            **({} if mask_prompt is None else {"mask_prompt": mask_prompt}),
        )
        return Decoded(**dict(zip(DECODED, found, strict=True)))

    logits_of = SAM2.logits_of
    track = SAM2.track

    def decode_mask(self, features: ImageFeatures, mask: Tensor) -> Decoded:
        """Of one object."""
        found = self._run(
            "decode_mask", stride4=features.stride4, stride8=features.stride8, stride16=features.stride16, mask=mask
        )
        return Decoded(**dict(zip(DECODED, found, strict=True)))

    def encode_memory(
        self, features: ImageFeatures, mask_logits: Tensor, presence_logit: Tensor, prompted: bool | Tensor
    ) -> Tensor:
        return self._run(
            "encode_memory",
            stride16=features.stride16,
            mask_logits=mask_logits,
            presence_logit=presence_logit,
            prompted=torch.as_tensor(prompted).expand(len(mask_logits)),
        )[0]
