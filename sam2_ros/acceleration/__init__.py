"""The network of `sam2_ros.model`, faster, for inference: `accelerate` is the one door."""
