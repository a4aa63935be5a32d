"""The ``netprobe-agent`` command."""

from __future__ import annotations


def main() -> None:
    """Start the agent."""
    raise SystemExit("netprobe-agent: not built yet")
