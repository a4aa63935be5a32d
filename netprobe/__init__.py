"""netprobe: who can reach whom across clusters right now, and where exactly it is broken.

``netprobe.open(place)`` gives a fleet to ask in Python: see :mod:`netprobe.notebook` and ``docs/api.md``.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["__version__", "open"]


def __getattr__(name: str) -> object:
    """``open`` is loaded when it is asked for: agents and commands import netprobe and stay light."""
    if name == "open":
        import importlib  # noqa: PLC0415

        return importlib.import_module("netprobe.notebook").open_fleet
    raise AttributeError(f"module 'netprobe' has no attribute {name!r}")
