"""Runs probes: sockets, clock, event loop."""
