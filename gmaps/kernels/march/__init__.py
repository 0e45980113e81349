"""Distances that grow from the joints: where they start, and how they spread."""
