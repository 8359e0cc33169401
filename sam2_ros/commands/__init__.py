"""The `sam2_ros` command: `sam2_ros track`, `sam2_ros segment` and the others."""
