"""Trees of synthetic frames, written in the layouts of real data sets."""
