"""Drives the sans-IO probes of ``netprobe.probes`` over sockets; one module per kind of conversation."""
