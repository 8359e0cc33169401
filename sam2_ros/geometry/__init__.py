"""The shapes of tracked objects, from their masks and a depth image. Needs NumPy and OpenCV, neither ROS nor PyTorch.

- `camera`: the camera's calibration, and a ray for each pixel.
- `points`: points on an object, without flying pixels and background.
- `box`: an axis-aligned or oriented box around points.
"""
