"""Side of Hugging Face's transformers."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from clock import Clock

from peers.inputs import Inputs
from peers.peer import Peer
from peers.task import FILLED, Task


class Transformers(Peer):
    """`Sam2VideoModel` on a stream, as its documentation runs it."""

    def __init__(self, task: Task, inputs: Inputs) -> None:
        from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession, Sam2VideoModel

        super().__init__(task, inputs)
        self.dtype = getattr(torch, task.dtype)
        self.model = Sam2VideoModel.from_pretrained(inputs.weights).eval().to(task.device, self.dtype)
        self.session = Sam2VideoInferenceSession(dtype=self.dtype, inference_device=task.device)
        self.session.add_new_frame(self._pixels(0))
        objects = [self.session.obj_id_to_idx(i + 1) for i in range(task.objects)]
        for i in objects:
            point = torch.tensor([[[[200.0 + 30 * (i % 8), 100.0 + 40 * (i // 8)]]]], device=task.device)
            label = torch.ones(1, 1, 1, dtype=torch.int32, device=task.device)
            inputs = {"point_coords": point.to(self.dtype), "point_labels": label}
            self.session.add_point_inputs(i, 0, inputs)
        self.session.obj_with_new_inputs = [i + 1 for i in objects]
        with torch.inference_mode():
            self.model(self.session, frame_idx=0)
        config = self.model.config
        channels = config.vision_config.fpn_hidden_size, config.memory_encoder_output_channels
        maps, pointers = task.memories(*channels, task.square)
        for i in objects:
            conditioning, tracked = self.session.output_dict_per_obj[i].values()
            for index in range(FILLED):
                known = conditioning[0] if index == 0 else tracked.setdefault(index, dict(conditioning[0]))
                known["maskmem_features"] = maps[i, index].flatten(1).T[:, None].to(known["maskmem_features"].dtype)
                known["object_pointer"] = pointers[i, index].view_as(known["object_pointer"])
        self.session.processed_frames |= dict.fromkeys(range(1, FILLED), self.session.processed_frames[0])
        self.index = FILLED
        self.clock = Clock(task.device, task.cpu_time)
        for owner, function, stage in (
            (self, "_pixels", "resize, normalise"),
            (self.model, "get_image_features", "image encoder"),
            (self.model.memory_attention, "forward", "memory attention"),
            (self.model, "_single_frame_forward", "mask decoder"),
            (self.model, "_batch_encode_memories", "memory encoder"),
            (self, "_masks", "masks"),
        ):
            self.clock.watch(owner, function, stage)

    def _masks(self, logits: torch.Tensor) -> np.ndarray:
        size = self.images[0].shape[:2]
        return (F.interpolate(logits.float(), size, mode="bilinear")[:, 0] > 0).cpu().numpy()

    def step(self) -> dict[str, float]:
        with self.clock.step(), torch.inference_mode():
            self.newest = self.model(self.session, frame=self._pixels(self.index)).pred_masks
            self._masks(self.newest)
        self.index += 1
        return dict(self.clock.seconds)

    def logits(self) -> np.ndarray:
        return self.newest[:, 0].float().cpu().numpy()
