"""The command `python -m sam2_ros.deployment`: the network as ONNX graphs, for machines without Python."""
