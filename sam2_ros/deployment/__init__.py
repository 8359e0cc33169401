"""The network for machines without Python, as ONNX graphs."""

from sam2_ros.deployment.export import export
from sam2_ros.deployment.onnx_model import OnnxSAM2

__all__ = ["OnnxSAM2", "export"]
