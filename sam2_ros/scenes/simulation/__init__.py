"""Scenes simulated by MuJoCo, an optional package: rooms, things and a robot's arm."""

import ctypes.util
import os

if not os.environ.get("MUJOCO_GL"):  # read when MuJoCo is imported; its own default wants a display
    os.environ["MUJOCO_GL"] = "egl" if ctypes.util.find_library("EGL") else "osmesa"
os.environ.setdefault(
    "LP_NUM_THREADS", "0"
)  # Mesa's; beside a training run, threads that wait for each other slow down drawing
