"""Kernels for x86 CPUs that PyTorch lacks, written in C++. Those for GPUs are in `gpu_kernels`."""
