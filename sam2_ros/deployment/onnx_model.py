"""The network as its exported graphs compute it, run by ONNX Runtime."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from sam2_ros.deployment.export import CONFIG
from sam2_ros.deployment.graphs import DECODED, FEATURES
from sam2_ros.model.config import HieraConfig, SAM2Config
from sam2_ros.model.prompt_encoder import no_points
from sam2_ros.model.sam2 import SAM2, Decoded, ImageFeatures, Memories


def exported_config(folder: str | Path) -> SAM2Config:
    """Of the network whose graphs are in a folder.

    Raises:
        FileNotFoundError: the folder holds none.
    """
    config = json.loads((Path(folder) / CONFIG).read_text())
    hiera = {name: tuple(value) if isinstance(value, list) else value for name, value in config["hiera"].items()}
    return SAM2Config(**{**config, "hiera": HieraConfig(**hiera)})


class OnnxSAM2:
    """Stands in for `SAM2` in a `Tracker`: the proof that the graphs do the same, and a pattern for other languages.

    Args:
        folder: what `export` has written.
        providers: of ONNX Runtime, for instance ("TensorrtExecutionProvider", "CUDAExecutionProvider").
        threads: of one operation; 0: as ONNX Runtime thinks.

    Raises:
        FileNotFoundError: something is missing in the folder.
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
        self._sessions = {
            file.stem: onnxruntime.InferenceSession(file, options, providers=list(providers))
            for file in sorted(folder.glob("*.onnx"))
        }

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
