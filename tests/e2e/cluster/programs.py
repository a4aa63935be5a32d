"""Programs of other systems that run on a node, as a pod of the host's network would."""

from __future__ import annotations

import subprocess
from pathlib import Path

_PATIENCE_S = 20.0


class Programs:
    """What runs, by a name of the caller's choice; at the latest it ends with the holder's namespaces."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, log: Path, command: list[str]) -> None:
        """Start *command*; all that it says goes to the end of *log*."""
        if name in self._running:
            raise LookupError(f"{name} runs already")
        with log.open("ab") as written:
            self._running[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=written, stderr=written
            )

    def stop(self, name: str) -> int:
        """Ask a program to end, and insist; return its exit code, negative for a signal."""
        process = self._running.pop(name)
        process.terminate()
        try:
            return process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
