"""The same network as Hugging Face transformers builds it, with the same random weights: what ours is compared with."""

from __future__ import annotations

import torch
import transformers
from torch import Tensor, nn
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoModel

from sam2_ros.model import SAM2, SAM2Config
from sam2_ros.model.checkpoint import from_hugging_face

MEAN = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
STD = torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)


def pixels(image) -> Tensor:
    """uint8 [S, S, 3] -> what the networks see: [3, S, S]."""
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


def image_model(config: SAM2Config, seed: int) -> transformers.Sam2Model:
    """transformers' model for still images, with random weights."""
    torch.manual_seed(seed)
    model = transformers.Sam2Model(
        transformers.Sam2Config(
            vision_config=vision_config(config),
            prompt_encoder_config=transformers.Sam2PromptEncoderConfig(image_size=config.image_size),
            mask_decoder_config=transformers.Sam2MaskDecoderConfig(),
        )
    )
    randomise(model)
    return model.eval()


def build(config: SAM2Config) -> Sam2VideoModel:
    """transformers' model for videos."""
    return Sam2VideoModel(
        transformers.Sam2VideoConfig(
            vision_config=vision_config(config),
            prompt_encoder_config=transformers.Sam2VideoPromptEncoderConfig(image_size=config.image_size),
            mask_decoder_config=transformers.Sam2VideoMaskDecoderConfig(),
            image_size=config.image_size,
            memory_attention_rope_feat_sizes=[config.grid, config.grid],
            enable_occlusion_spatial_embedding=config.absent_memory_embedding,
            enable_temporal_pos_encoding_for_object_pointers=config.pointer_time_encoding,
        )
    )


def video_model(config: SAM2Config, seed: int) -> Sam2VideoModel:
    """transformers' model for videos, with random weights."""
    torch.manual_seed(seed)
    model = build(config)
    randomise(model)
    return model.eval()


@torch.no_grad()
def randomise(model: nn.Module) -> None:
    """Every parameter, also those that start at zero or nearly so, so that none of them can be wrong unseen."""
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
    matrix = model.shared_image_embedding.positional_embedding
    matrix.copy_(torch.randn(matrix.shape))
    model.prompt_encoder.shared_embedding.positional_embedding.copy_(matrix)


def ours(config: SAM2Config, peer: nn.Module) -> SAM2:
    """Our network with the peer's weights. The image model has none for the memory: those stay as they are."""
    model = SAM2(config)
    missing, unexpected = model.load_state_dict(from_hugging_face(peer.state_dict()), strict=False)
    assert not unexpected
    assert not missing or isinstance(peer, transformers.Sam2Model)
    return model.eval()
