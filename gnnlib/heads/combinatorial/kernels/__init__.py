"""Compiled (numba) kernels of the combinatorial head."""
