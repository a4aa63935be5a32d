"""netprobe: who can reach whom across clusters right now, and where exactly it is broken."""

__version__ = "0.1.0"
