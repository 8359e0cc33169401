"""Side of Meta's package `sam2`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from clock import Clock
from PIL import Image

from peers.inputs import Inputs
from peers.peer import Peer
from peers.task import FILLED, Task


class Reference(Peer):
    """Meta's video predictor, as its repository runs it: on a GPU compiled, for which it needs --warm-up steps."""

    def __init__(self, task: Task, inputs: Inputs) -> None:
        from sam2.build_sam import build_sam2_video_predictor

        import sam2_ros

        super().__init__(task, inputs)
        version, size = task.model.split("_hiera_")
        rows, columns = task.square
        file = f"configs/{version}/{version}_hiera_{'b+' if size == 'base_plus' else size[0]}.yaml"
        self.model = build_sam2_video_predictor(
            file,
            device=task.device,
            hydra_overrides_extra=[
                f"++model.image_size={task.size}",
                f"++model.memory_attention.layer.self_attention.feat_sizes=[{rows},{columns}]",
                f"++model.memory_attention.layer.cross_attention.feat_sizes=[{rows},{columns}]",
            ],
            apply_postprocessing=False,
            vos_optimized=task.device.startswith("cuda"),
        )
        ours = sam2_ros.load_model(task.model, inputs.weights, device=task.device, image_size=task.size)
        self.model.load_state_dict(ours.state_dict(), strict=False)  # it registers tables that files do not hold
        self.clock = Clock(task.device, task.cpu_time)
        for owner, function, stage in (
            (self, "_pixels", "resize, normalise"),
            (self.model, "forward_image", "image encoder"),
            (self.model.memory_attention, "forward", "memory attention"),
            (self.model, "_forward_sam_heads", "mask decoder"),
            (self.model, "_encode_new_memory", "memory encoder"),
            (self, "_masks", "masks"),
        ):
            self.clock.watch(owner, function, stage)
        with tempfile.TemporaryDirectory() as folder, self._precision():
            Image.fromarray(self.images[0]).save(Path(folder, "0.jpg"))
            state = self.model.init_state(folder)
            state |= {"images": _EndlessVideo(self), "num_frames": 2**31, "cached_features": {}}
            for i in range(task.objects):
                point = np.array([[200.0 + 30 * (i % 8), 100.0 + 40 * (i // 8)]], np.float32)
                self.model.add_new_points_or_box(state, 0, i + 1, point, np.array([1], np.int32))
            self.model.propagate_in_video_preflight(state)
        maps, pointers = task.memories(self.config.dim, self.config.memory_dim, task.square)
        for i in range(task.objects):
            conditioning, tracked = (
                state["output_dict_per_obj"][i][f"{kind}_frame_outputs"] for kind in ("cond", "non_cond")
            )
            for index in range(FILLED):
                known = conditioning[0] if index == 0 else tracked.setdefault(index, dict(conditioning[0]))
                known["maskmem_features"] = maps[i, index, None].to(known["maskmem_features"].dtype)
                known["obj_ptr"] = pointers[i, index, None]
        self.state = state
        self.running = self.model.propagate_in_video(state, start_frame_idx=FILLED)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.task.device, torch.bfloat16, enabled=self.task.dtype == "bfloat16")

    def _masks(self, logits: torch.Tensor) -> np.ndarray:
        return (logits[:, 0] > 0).cpu().numpy()

    def step(self) -> dict[str, float]:
        with self.clock.step(), self._precision():
            self.index, _, masks = next(self.running)
            self._masks(masks)
        return dict(self.clock.seconds)

    def logits(self) -> np.ndarray:
        outputs = self.state["output_dict_per_obj"]
        masks = [outputs[i]["non_cond_frame_outputs"][self.index]["pred_masks"][0, 0] for i in range(self.task.objects)]
        return torch.stack(masks).float().cpu().numpy()


class _EndlessVideo:
    """Frames without end, for a predictor that takes the whole video at the start."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, index: int) -> torch.Tensor:
        return self._reference._pixels(index)
