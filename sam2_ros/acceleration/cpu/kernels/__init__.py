"""C++ kernels for x86 and ARM CPUs, each as a PyTorch operator. Those for GPUs are in `acceleration.cuda.kernels`."""
