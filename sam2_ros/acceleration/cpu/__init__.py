"""Faster classes for CPUs: C++ kernels in `kernels`, oneDNN's products where they are faster than PyTorch's own."""
