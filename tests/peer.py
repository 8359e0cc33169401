"""The same network in Hugging Face transformers, with the same random weights, as a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession, Sam2VideoModel

from sam2_ros.checkpoints.names import from_hugging_face
from sam2_ros.model import SAM2, SAM2Config
from sam2_ros.tracking import Box, Click

MEAN = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
STD = torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)


def pixels(image) -> Tensor:
    """uint8 [S, S, 3] -> input of the networks: [3, S, S]."""
    return (torch.from_numpy(image).permute(2, 0, 1) / 255 - MEAN) / STD


def vision_config(config: SAM2Config) -> transformers.Sam2VisionConfig:
    hiera, size = config.hiera, config.image_size
    return transformers.Sam2VisionConfig(
        backbone_config=transformers.Sam2HieraDetConfig(
            hidden_size=hiera.embed_dim,
            num_attention_heads=hiera.heads,
            image_size=[size, size],
            blocks_per_stage=list(hiera.blocks),
            embed_dim_per_stage=list(hiera.dims),
            num_attention_heads_per_stage=[hiera.heads * 2**stage for stage in range(4)],
            window_size_per_stage=list(hiera.windows),
            global_attention_blocks=list(hiera.global_blocks),
            window_positional_embedding_background_size=list(hiera.position_grid),
        ),
        backbone_channel_list=list(reversed(hiera.dims)),
        backbone_feature_sizes=[[size // stride] * 2 for stride in (4, 8, 16)],
    )


def image_model(config: SAM2Config, seed: int, vivid: float = 1.0) -> transformers.Sam2Model:
    """transformers' model for still images, with random weights."""
    torch.manual_seed(seed)
    model = transformers.Sam2Model(
        transformers.Sam2Config(
            vision_config=vision_config(config),
            prompt_encoder_config=transformers.Sam2PromptEncoderConfig(image_size=config.image_size),
            mask_decoder_config=transformers.Sam2MaskDecoderConfig(),
        )
    )
    randomise(model, vivid)
    return model.eval()


class ReferenceVideoModel(Sam2VideoModel):
    """transformers' video model, with corrected deviations from the reference implementation (docs/parity.md).

    Memories stay in float32, so that rounding does not hide faults.
    """

    def _single_frame_forward(self, *args, multimask_output: bool = False, **kwargs):
        # A mask prompt's object pointer comes from the single mask; transformers takes the best of three.
        output = super()._single_frame_forward(*args, multimask_output=multimask_output, **kwargs)
        self.predicted_iou = float(output.iou_scores.max())  # the best of three candidates, or the only one
        return output

    def _use_mask_as_output(self, *args, **kwargs):
        # A mask prompt enters the memory through its low-resolution logits, like every other mask.
        output = super()._use_mask_as_output(*args, **kwargs)
        output.high_res_masks = F.interpolate(output.pred_masks, self.image_size, mode="bilinear")
        return output

    def _encode_new_memory(self, *args, **kwargs):
        # The memory as it was before it is rounded to bfloat16.
        kept: list[Tensor] = []
        hook = self.memory_encoder.register_forward_hook(lambda module, inputs, outputs: kept.append(outputs[0]))
        rounded, position = super()._encode_new_memory(*args, **kwargs)
        hook.remove()
        exact = kept[0].flatten(2).permute(2, 0, 1)
        torch.testing.assert_close(exact.bfloat16(), rounded, rtol=0, atol=0)
        return exact, position

    def _run_single_frame_inference(self, inference_session, frame_idx, obj_idx, point_inputs, **kwargs):
        # Clicks on a frame that has a mask correct that mask: its logits go in with them.
        earlier = None
        outputs = inference_session.output_dict_per_obj[obj_idx]
        for known in (outputs["cond_frame_outputs"], outputs["non_cond_frame_outputs"]):
            if point_inputs is not None and frame_idx in known:
                earlier = known[frame_idx]["pred_masks"].view(1, 1, *self.prompt_encoder.mask_input_size).clamp(-32, 32)
        kwargs["streaming"] = True  # or else pointers' ages are divided by the number of frames seen so far
        return super()._run_single_frame_inference(
            inference_session=inference_session,
            frame_idx=frame_idx,
            obj_idx=obj_idx,
            point_inputs=point_inputs,
            prev_sam_mask_logits=earlier,
            **kwargs,
        )


@dataclass
class PeerAnswer:
    """A network's output for one object on one frame."""

    logits: Tensor
    """[S / 4, S / 4]."""
    iou: float
    presence_logit: float


class PeerStream:
    """One object tracked by transformers through a stream, frame by frame.

    Streams of the same images can share the image features: `shares` is another of them, which steps first.
    """

    def __init__(self, model: ReferenceVideoModel, shares: PeerStream | None = None) -> None:
        self.model = model
        self.session = Sam2VideoInferenceSession(dtype=torch.float32, max_vision_features_cache_size=8)
        if shares is not None:
            self.session.cache = shares.session.cache
        self.object = self.session.obj_id_to_idx(1)
        self.conditioning, self.tracked = self.session.output_dict_per_obj[self.object].values()
        self.points: dict[int, tuple[list, list]] = {}

    def step(self, image: np.ndarray) -> PeerAnswer | None:
        """The next frame; None while there is no object."""
        if self.conditioning:
            return self._answer(self.model(self.session, frame=pixels(image)))
        self.session.add_new_frame(pixels(image))
        return None

    def prompt(
        self,
        clicks: Sequence[Click],
        box: Box | None,
        mask: np.ndarray | None,
        frame: int | None,
        carry: bool = True,
    ) -> PeerAnswer:
        """New clicks, box or mask, on the newest frame (None) or an earlier one; later frames are tracked again.

        Without `carry` they are not, and the result is that of the prompted frame.
        A corrected frame becomes a conditioning frame, as in the training of the released checkpoints.
        """
        newest = self.session.num_frames - 1
        frame = newest if frame is None else frame
        if mask is None:
            points, labels = self.points.setdefault(frame, ([], []))
            if box is not None:
                points += [(box.x, box.y), (box.x + box.width, box.y + box.height)]
                labels += [2, 3]
            points += [(click.x, click.y) for click in clicks]
            labels += [int(click.positive) for click in clicks]
            inputs = {
                "point_coords": torch.tensor(points)[None, None],
                "point_labels": torch.tensor(labels)[None, None],
            }
            self.session.add_point_inputs(self.object, frame, inputs)
        else:
            self.session.add_mask_inputs(self.object, frame, torch.from_numpy(mask)[None, None])
        self.session.obj_with_new_inputs = [1]
        if frame in self.session.frames_tracked_per_obj[self.object] and frame in self.conditioning:
            self.tracked[frame] = self.conditioning.pop(frame)  # a frame corrected again does not see its own memory
        result = self._answer(self.model(self.session, frame_idx=frame), mask is not None)
        if frame in self.tracked:
            self.conditioning[frame] = self.tracked.pop(frame)
        for later in range(frame + 1, newest + 1) if carry else ():
            result = self._answer(self.model(self.session, frame_idx=later))
        return result

    def retrack(self) -> dict[int, PeerAnswer]:
        """Track all frames after the first prompted one again, except prompted ones; outputs by frame."""
        frames = range(min(self.conditioning) + 1, self.session.num_frames)
        return {
            frame: self._answer(self.model(self.session, frame_idx=frame))
            for frame in frames
            if frame not in self.conditioning
        }

    def _answer(self, output, is_mask: bool = False) -> PeerAnswer:
        logits = output.pred_masks.view(self.model.prompt_encoder.mask_input_size)
        return PeerAnswer(logits, 1.0 if is_mask else self.model.predicted_iou, float(output.object_score_logits))


def build(config: SAM2Config, kind: type[Sam2VideoModel] = ReferenceVideoModel) -> Sam2VideoModel:
    """transformers' model for videos."""
    return kind(
        transformers.Sam2VideoConfig(
            vision_config=vision_config(config),
            prompt_encoder_config=transformers.Sam2VideoPromptEncoderConfig(image_size=config.image_size),
            mask_decoder_config=transformers.Sam2VideoMaskDecoderConfig(),
            image_size=config.image_size,
            memory_attention_rope_feat_sizes=2 * [config.image_size // 16],
            enable_occlusion_spatial_embedding=config.absent_memory_embedding,
            enable_temporal_pos_encoding_for_object_pointers=config.pointer_time_encoding,
        )
    )


def video_model(config: SAM2Config, seed: int, vivid: float = 1.0) -> ReferenceVideoModel:
    """transformers' model for videos, with random weights."""
    torch.manual_seed(seed)
    model = build(config)
    randomise(model, vivid)
    return model.eval()


SHARP = 3.0
"""Factor of the memory attention's queries and keys."""


@torch.no_grad()
def randomise(model: nn.Module, vivid: float) -> None:
    """Randomise every parameter, also those that start near zero, so that an error in any of them shows.

    The larger `vivid`, the larger are mask logits. At 1 a single mask is hardly ever stable; at 3 earlier masks reach
    the limit at which they are clamped.
    """
    norms = {id(p) for m in model.modules() if isinstance(m, nn.LayerNorm) for p in (m.weight,)}
    matrices = {id(m.weight) for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))}
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape)
        if id(parameter) in norms:
            parameter.copy_(1 + 0.2 * noise)
        elif id(parameter) in matrices:
            parameter.copy_(noise / parameter[0].numel() ** 0.5)
        else:  # biases, tokens, embeddings, layer scale
            parameter.copy_(0.5 * noise)
    for name, parameter in model.named_parameters():
        if "cross_attn_image." in name and ("q_proj.weight" in name or "k_proj.weight" in name):
            parameter.mul_(SHARP)  # or every memory, with its errors, would be averaged away
        if "output_hypernetworks_mlps." in name and "proj_out" in name:
            parameter.sub_(parameter.mean(dim=0))  # or many masks would be all or nothing
            parameter.mul_(vivid)
    matrix = model.shared_image_embedding.positional_embedding
    matrix.copy_(torch.randn(matrix.shape))
    model.prompt_encoder.shared_embedding.positional_embedding.copy_(matrix)


def ours(config: SAM2Config, peer: nn.Module) -> SAM2:
    """Our network with the peer's weights. The image model has none for the memory, which keeps its own."""
    model = SAM2(config)
    missing, unexpected = model.load_state_dict(from_hugging_face(peer.state_dict()), strict=False)
    assert not unexpected
    assert not missing or isinstance(peer, transformers.Sam2Model)
    return model.eval()
