"""Faster classes for CPUs: C++ kernels (`kernels`), and oneDNN's matrix product where it is faster than PyTorch's."""
