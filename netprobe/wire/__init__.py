"""Codecs for packets, bus messages and documents; every decoder treats its input as hostile."""
