"""C++ kernels for x86 and ARM CPUs. Those for GPUs are in `cuda.kernels`."""
