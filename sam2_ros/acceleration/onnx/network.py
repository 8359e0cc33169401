"""The network computed by its exported graphs, in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from sam2_ros.acceleration.inference import Choice
from sam2_ros.acceleration.network import joined
from sam2_ros.acceleration.onnx.config import CONFIG, read_config
from sam2_ros.acceleration.onnx.errors import EXPORT_AGAIN, GraphError
from sam2_ros.acceleration.onnx.graphs import DECODED, FEATURES, GRAPHS
from sam2_ros.model.prompt_encoder import no_points
from sam2_ros.model.sam2 import SAM2, Decoded, ImageFeatures, Memories
from sam2_ros.requirements import how_to_install


def is_exported(folder: Path) -> bool:
    """Whether a folder holds graphs that `export` has written, all of them or some."""
    return any((folder / f"{name}.onnx").is_file() for name in GRAPHS)


class OnnxNetwork:
    """Exported graphs in place of `SAM2`: proof that they compute the same, and a model for other languages.

    Args:
        folder: the folder that `export` has written.
        providers: ONNX Runtime's, for instance ("TensorrtExecutionProvider", "CUDAExecutionProvider").
        threads: threads of one operation; 0: ONNX Runtime chooses.

    Raises:
        GraphError: something in the folder is missing, damaged, or of another network; or ONNX Runtime is missing.
    """

    device = torch.device("cpu")
    """Device of inputs and outputs."""

    choice = Choice(torch.float32, "ONNX Runtime's")

    def __init__(
        self, folder: str | Path, providers: tuple[str, ...] = ("CPUExecutionProvider",), threads: int = 0
    ) -> None:
        folder = Path(folder)
        try:
            import onnxruntime
        except ImportError as error:
            raise GraphError(f"{folder}: exported graphs need ONNX Runtime. {how_to_install('onnxruntime')}") from error
        self.config = read_config(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that spin while they wait slow down everything else on a robot.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        files = {name: folder / f"{name}.onnx" for name in GRAPHS}
        if missing := [file.name for file in files.values() if not file.is_file()]:
            raise GraphError(f"{folder}: lacks {', '.join(missing)}. {EXPORT_AGAIN}")
        self._sessions = {}
        for name, file in files.items():
            try:
                self._sessions[name] = onnxruntime.InferenceSession(file, options, providers=list(providers))
            except Exception as error:  # ONNX Runtime's errors have no common class
                reason = str(error).splitlines()[0][:200]
                raise GraphError(f"{file}: not a readable graph ({reason}). {EXPORT_AGAIN}") from error
        self._check_shapes(folder)

    def _check_shapes(self, folder: Path) -> None:
        """Raise GraphError if config.json describes another network than that of the graphs."""
        height, width = self.config.shape(1, 1)
        expected = {
            "encode_image": (1, 3, height, width),
            "condition": (None, None, self.config.memory_dim, height // 16, width // 16),
            "decode": (None, self.config.dim, height // 16, width // 16),
        }
        names = {"encode_image": "image", "condition": "maps", "decode": "conditioned"}
        for graph, shape in expected.items():
            actual = {node.name: node.shape for node in self._sessions[graph].get_inputs()}.get(names[graph])
            if actual is None or len(actual) != len(shape):
                raise GraphError(
                    f"{folder / graph}.onnx: not a graph as sam2_ros.deployment exports it. {EXPORT_AGAIN}"
                )
            if any(a is not None and a != b for a, b in zip(shape, actual, strict=True)):
                raise GraphError(
                    f"{folder / graph}.onnx: takes {names[graph]} {actual}, but {CONFIG} is of"
                    f" another network. {EXPORT_AGAIN}"
                )

    def _run(self, graph: str, **inputs: Tensor) -> list[Tensor]:
        arrays = {name: value.contiguous().numpy() for name, value in inputs.items()}
        return [torch.from_numpy(array) for array in self._sessions[graph].run(None, arrays)]

    def encode_image(self, image: Tensor) -> ImageFeatures:
        if len(image) > 1:  # one image is exported
            return joined([self.encode_image(one) for one in image.split(1)])
        return ImageFeatures(**dict(zip(FEATURES, self._run("encode_image", image=image), strict=True)))

    def condition(self, features: ImageFeatures, memories: Memories | None) -> Tensor:
        if memories is None:
            return self._run("without_memory", stride16=features.stride16)[0]
        pointers, pointer_age, pointer_valid = memories.pointers, memories.pointer_age, memories.pointer_valid
        if not pointers.shape[1]:  # graphs take at least one: an invalid one
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
        outputs = self._run(
            "decode" if mask_prompt is None else "refine",
            conditioned=conditioned,
            stride4=features.stride4,
            stride8=features.stride8,
            points=points,
            labels=labels,
            multimask=torch.as_tensor(multimask).expand(n),
            **({} if mask_prompt is None else {"mask_prompt": mask_prompt}),
        )
        return Decoded(**dict(zip(DECODED, outputs, strict=True)))

    track = SAM2.track

    def decode_mask(self, features: ImageFeatures, mask: Tensor) -> Decoded:
        """As `SAM2.decode_mask`, for one object."""
        outputs = self._run(
            "decode_mask", stride4=features.stride4, stride8=features.stride8, stride16=features.stride16, mask=mask
        )
        return Decoded(**dict(zip(DECODED, outputs, strict=True)))

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
