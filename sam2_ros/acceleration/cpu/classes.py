"""The faster class for each class of the plain network, on CPUs."""

from __future__ import annotations

from torch import nn

from sam2_ros.acceleration.cached import CachedMemoryAttention, CachedRandomFourier
from sam2_ros.acceleration.cpu.attention import CPURotaryAttention, CPUWindowAttention
from sam2_ros.acceleration.cpu.hiera import CPUBlock, CPUHiera
from sam2_ros.acceleration.cpu.linear import CPUMLP, CPULinear, CPUPointwise
from sam2_ros.acceleration.cpu.mask_decoder import CPUMaskDecoder, CPUTwoWayTransformer
from sam2_ros.acceleration.cpu.memory_attention import CPUMemoryAttentionLayer
from sam2_ros.acceleration.cpu.memory_encoder import CPUFuserBlock, CPUMemoryEncoder
from sam2_ros.acceleration.cpu.sam2 import CPUSAM2
from sam2_ros.acceleration.twin import Classes
from sam2_ros.model.hiera import Block, Hiera, WindowAttention
from sam2_ros.model.layers import MLP
from sam2_ros.model.mask_decoder import MaskDecoder, TwoWayTransformer
from sam2_ros.model.memory_attention import MemoryAttention, MemoryAttentionLayer, RotaryAttention
from sam2_ros.model.memory_encoder import FuserBlock, MemoryEncoder
from sam2_ros.model.position import RandomFourier
from sam2_ros.model.sam2 import SAM2

CPU_CLASSES: Classes = {
    SAM2: CPUSAM2,
    Hiera: CPUHiera,
    Block: CPUBlock,
    WindowAttention: CPUWindowAttention,
    MemoryAttention: CachedMemoryAttention,
    MemoryAttentionLayer: CPUMemoryAttentionLayer,
    RotaryAttention: CPURotaryAttention,
    MaskDecoder: CPUMaskDecoder,
    TwoWayTransformer: CPUTwoWayTransformer,
    MemoryEncoder: CPUMemoryEncoder,
    FuserBlock: CPUFuserBlock,
    RandomFourier: CachedRandomFourier,
    MLP: CPUMLP,
    nn.Linear: CPULinear,
    nn.Conv2d: CPUPointwise,
}
