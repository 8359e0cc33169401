"""The network as ONNX graphs, for machines without Python: their export, and a network that runs them."""

from typing import TYPE_CHECKING

from sam2_ros.lazy import lazy_names

if TYPE_CHECKING:
    from sam2_ros.acceleration.onnx.errors import GraphError
    from sam2_ros.acceleration.onnx.export import export
    from sam2_ros.acceleration.onnx.network import OnnxNetwork

__all__ = ["GraphError", "OnnxNetwork", "export"]

__getattr__, __dir__ = lazy_names(__name__, {"GraphError": "errors", "OnnxNetwork": "network", "export": "export"})
