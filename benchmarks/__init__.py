"""Measurements against peers, each in one process: `python -m benchmarks [NAME ...]`."""
