"""The packed codec and the reading of many rows at once: bytes and values, see docs/packed-codec.md."""
