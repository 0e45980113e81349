"""Kernels of the 2D maps: one call a frame, all joints, cells in the outer loops and joints innermost."""
