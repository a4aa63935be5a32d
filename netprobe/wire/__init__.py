"""Bytes to values and back: packets, bus messages, documents. Every decoder takes its input as hostile."""
