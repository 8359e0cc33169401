"""The demo: objects are prompted on the first frame of a video, and the real graph tracks them through it.

A camera node, the sam2 node and a recorder run as processes of their own; the demo sends the prompts. All results
are read back from the recorded bag. `python -m sam2_ros.ros.demo` runs it.
"""
