"""What ``netprobe`` exports; ``open`` is loaded when it is asked for."""

from netprobe.notebook import open_fleet as open  # noqa: A004 - called as netprobe.open

__version__: str
__all__ = ["__version__", "open"]
