"""Kernels for CUDA that PyTorch lacks, written in Triton; forward only.

Triton comes with PyTorch for CUDA alone. Without it everything here can be imported, but nothing called:
`sam2_ros.acceleration.cuda.probe` says whether it works.
"""
