"""Measurements against the peer beside us: ``python -m benchmarks NAME --json``."""
