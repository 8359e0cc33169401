"""Kernels for CUDA that PyTorch lacks, written in Triton. Those for CPUs are in `cpu_kernels`.

Triton comes with PyTorch for CUDA alone, so everything here is imported only where `layers.has_kernels` says yes.
"""
