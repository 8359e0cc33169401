"""The faster class for CUDA of each class of the plain network."""

from __future__ import annotations

from torch import nn

from sam2_ros.acceleration.cached import CachedRandomFourier
from sam2_ros.acceleration.cuda.attention import CUDAAttention, CUDARotaryAttention, CUDAWindowAttention
from sam2_ros.acceleration.cuda.hiera import CUDABlock, CUDAHiera
from sam2_ros.acceleration.cuda.layers import CUDALayerNorm2d
from sam2_ros.acceleration.cuda.linear import CUDAMLP, CUDALinear, CUDAPointwise
from sam2_ros.acceleration.cuda.mask_decoder import CUDAMaskDecoder, CUDATwoWayBlock, CUDATwoWayTransformer
from sam2_ros.acceleration.cuda.memory_attention import CUDAMemoryAttention, CUDAMemoryAttentionLayer
from sam2_ros.acceleration.cuda.memory_encoder import CUDAFuser, CUDAFuserBlock, CUDAMaskDownsampler, CUDAMemoryEncoder
from sam2_ros.acceleration.cuda.sam2 import CUDASAM2
from sam2_ros.acceleration.twin import Classes
from sam2_ros.model.attention import Attention
from sam2_ros.model.hiera import Block, Hiera, WindowAttention
from sam2_ros.model.layers import MLP, LayerNorm2d
from sam2_ros.model.mask_decoder import MaskDecoder, TwoWayBlock, TwoWayTransformer
from sam2_ros.model.memory_attention import MemoryAttention, MemoryAttentionLayer, RotaryAttention
from sam2_ros.model.memory_encoder import Fuser, FuserBlock, MaskDownsampler, MemoryEncoder
from sam2_ros.model.position import RandomFourier
from sam2_ros.model.sam2 import SAM2

CUDA_CLASSES: Classes = {
    SAM2: CUDASAM2,
    Hiera: CUDAHiera,
    Block: CUDABlock,
    WindowAttention: CUDAWindowAttention,
    MemoryAttention: CUDAMemoryAttention,
    MemoryAttentionLayer: CUDAMemoryAttentionLayer,
    RotaryAttention: CUDARotaryAttention,
    MaskDecoder: CUDAMaskDecoder,
    TwoWayTransformer: CUDATwoWayTransformer,
    TwoWayBlock: CUDATwoWayBlock,
    Attention: CUDAAttention,
    MemoryEncoder: CUDAMemoryEncoder,
    MaskDownsampler: CUDAMaskDownsampler,
    Fuser: CUDAFuser,
    FuserBlock: CUDAFuserBlock,
    RandomFourier: CachedRandomFourier,
    LayerNorm2d: CUDALayerNorm2d,
    MLP: CUDAMLP,
    nn.Linear: CUDALinear,
    nn.Conv2d: CUDAPointwise,
}
