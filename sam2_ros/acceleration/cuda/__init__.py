"""Faster classes for CUDA, with Triton kernels in `kernels`; and the step of a stream as CUDA graphs."""
