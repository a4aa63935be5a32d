"""The Python library: a fleet from an evidence bundle or a live collector.

``netprobe.open`` is :func:`open_fleet`. It returns the data behind tables, pages and pictures: the topology
as a networkx graph, windows and paths as pandas frames, findings as values; each has a display for notebooks.
pandas is imported for the first frame.
"""

from __future__ import annotations

from netprobe.notebook.fleet import Fleet
from netprobe.notebook.sources import open_fleet

__all__ = ["Fleet", "open_fleet"]
