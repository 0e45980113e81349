"""Numba kernels: arrays in, arrays out. They import numpy and numba, and nothing of gmaps but each other."""
