"""Bytes to arrays and back, by file format. Nothing here knows what a hand is."""
