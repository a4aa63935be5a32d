"""The library's face: a fleet to ask in Python, from a saved moment or a live collector.

``netprobe.open`` is :func:`open_fleet`. What it gives is what tables, pages and pictures are drawn from: the
topology as a networkx graph, windows and paths as pandas frames, findings as values; each shows itself in a
notebook. pandas is imported when the first frame is asked for.
"""

from __future__ import annotations

from netprobe.notebook.fleet import Fleet
from netprobe.notebook.sources import open_fleet

__all__ = ["Fleet", "open_fleet"]
