"""Kernels for CUDA, by numba-cuda: only imported where they are launched."""
