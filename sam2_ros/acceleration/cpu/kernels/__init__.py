"""Kernels for CPUs, x86 and ARM, that PyTorch lacks, written in C++. Those for GPUs are in `cuda.kernels`."""
