"""The functions of the network as ONNX graphs: inputs and outputs of each.

They are stateless: the caller keeps the memory bank. The numbers of objects, memories, pointers and points may differ
from call to call; the image size is fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor, nn

from sam2_ros.model.sam2 import SAM2, Decoded, ImageFeatures, Memories

Outputs = tuple[Tensor, ...]

FEATURES = tuple(field.name for field in fields(ImageFeatures))
DECODED = tuple(field.name for field in fields(Decoded))

GRAPHS = ("encode_image", "without_memory", "condition", "decode", "refine", "decode_mask", "encode_memory")

OBJECTS, MAPS, POINTERS, POINTS = "objects", "maps", "pointers", "points"


@dataclass(frozen=True)
class Graph:
    """A function of tensors, and the inputs for its export."""

    function: Callable[..., Outputs]
    inputs: dict[str, Tensor]
    """Example inputs, by name."""
    outputs: tuple[str, ...]
    dynamic: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Inputs whose first axes have a dynamic length: the names of these axes."""


class Functions(nn.Module):
    """The functions of a network, with tensors for all inputs and outputs.

    Args:
        model: in eval mode, on a CPU.
    """

    def __init__(self, model: SAM2) -> None:
        super().__init__()
        self.model = model

    def encode_image(self, image: Tensor) -> Outputs:
        features = self.model.encode_image(image)
        return tuple(getattr(features, name) for name in FEATURES)

    def without_memory(self, stride16: Tensor) -> Outputs:
        return (self.model.condition(ImageFeatures(stride16, stride16, stride16), None),)

    def condition(
        self,
        stride16: Tensor,
        maps: Tensor,
        map_age: Tensor,
        map_valid: Tensor,
        pointers: Tensor,
        pointer_age: Tensor,
        pointer_valid: Tensor,
    ) -> Outputs:
        memories = Memories(maps, map_age, pointers, pointer_age, map_valid, pointer_valid)
        return (self.model.condition(ImageFeatures(stride16, stride16, stride16), memories),)

    def decode(
        self, conditioned: Tensor, stride4: Tensor, stride8: Tensor, points: Tensor, labels: Tensor, multimask: Tensor
    ) -> Outputs:
        features = ImageFeatures(stride4, stride8, conditioned)
        return _all(self.model.decode(conditioned, features, points, labels, None, multimask))

    def refine(
        self,
        conditioned: Tensor,
        stride4: Tensor,
        stride8: Tensor,
        points: Tensor,
        labels: Tensor,
        mask_prompt: Tensor,
        multimask: Tensor,
    ) -> Outputs:
        features = ImageFeatures(stride4, stride8, conditioned)
        return _all(self.model.decode(conditioned, features, points, labels, mask_prompt, multimask))

    def decode_mask(self, stride4: Tensor, stride8: Tensor, stride16: Tensor, mask: Tensor) -> Outputs:
        return _all(self.model.decode_mask(ImageFeatures(stride4, stride8, stride16), mask))

    def encode_memory(self, stride16: Tensor, mask_logits: Tensor, presence_logit: Tensor, prompted: Tensor) -> Outputs:
        features = ImageFeatures(stride16, stride16, stride16)
        return (self.model.encode_memory(features, mask_logits, presence_logit, prompted),)

    def graphs(self) -> dict[str, Graph]:
        """All graphs by name. Shapes are those of `sam2_ros.model.sam2`."""
        config = self.model.config
        dim, (h, w) = config.dim, config.shape(1, 1)
        n, m, p, k = 2, 3, 4, 5  # torch.export would treat 0 and 1 as fixed lengths
        image = {
            "stride4": torch.zeros(1, dim // 8, h // 4, w // 4),
            "stride8": torch.zeros(1, dim // 4, h // 8, w // 8),
            "stride16": torch.zeros(1, dim, h // 16, w // 16),
        }
        skips = {name: image[name] for name in ("stride4", "stride8")}
        stride16 = {"stride16": image["stride16"]}
        memories = {
            "maps": torch.zeros(n, m, config.memory_dim, h // 16, w // 16),
            "map_age": torch.ones(n, m, dtype=torch.int64),
            "map_valid": torch.ones(n, m, dtype=torch.bool),
            "pointers": torch.zeros(n, p, dim),
            "pointer_age": torch.ones(n, p, dtype=torch.int64),
            "pointer_valid": torch.ones(n, p, dtype=torch.bool),
        }
        maps, pointers, points, one = (OBJECTS, MAPS), (OBJECTS, POINTERS), (OBJECTS, POINTS), (OBJECTS,)
        prompts = {"points": torch.zeros(n, k, 2), "labels": torch.ones(n, k, dtype=torch.int64)}
        earlier = {"mask_prompt": torch.zeros(n, 1, h // 4, w // 4)}
        multimask = {"multimask": torch.ones(n, dtype=torch.bool)}
        conditioned = {"conditioned": torch.zeros(n, dim, h // 16, w // 16)}
        answer = {
            "mask_logits": torch.zeros(n, h // 4, w // 4),
            "presence_logit": torch.zeros(n),
            "prompted": torch.ones(n, dtype=torch.bool),
        }
        decoding = {"conditioned": one, "points": points, "labels": points, "multimask": one}
        return {
            "encode_image": Graph(self.encode_image, {"image": torch.zeros(1, 3, h, w)}, FEATURES),
            "without_memory": Graph(self.without_memory, stride16, ("conditioned",)),
            "condition": Graph(
                self.condition,
                stride16 | memories,
                ("conditioned",),
                {name: pointers if "pointer" in name else maps for name in memories},
            ),
            "decode": Graph(self.decode, conditioned | skips | prompts | multimask, DECODED, decoding),
            "refine": Graph(
                self.refine,
                conditioned | skips | prompts | earlier | multimask,
                DECODED,
                decoding | {"mask_prompt": one},
            ),
            "decode_mask": Graph(self.decode_mask, image | {"mask": torch.zeros(1, 1, h, w)}, DECODED),
            "encode_memory": Graph(
                self.encode_memory, stride16 | answer, ("memory",), {name: (OBJECTS,) for name in answer}
            ),
        }


def _all(decoded: Decoded) -> Outputs:
    return tuple(getattr(decoded, name) for name in DECODED)
