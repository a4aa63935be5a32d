"""``python -m tests.attack.weakened_program GUARD MODULE ARGUMENT…``: run a module without one of our guards.

For attacks on a program of its own. It imports little, so that the program starts as fast as ever.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from unittest.mock import patch

from netprobe.collector.round_trip import RoundTrip
from netprobe.collector.server_care import ServerCare


@contextmanager
def remove_care_of_bus_server() -> Iterator[None]:
    """Beats that do not come back are not noticed, nor is a full volume: no server is started again."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(RoundTrip, "_break", lambda *_: None))
        stack.enter_context(patch.object(ServerCare, "shortage", ""))
        yield


BUS_SERVER = "care-of-bus-server"
REMOVALS: dict[str, Callable[[], AbstractContextManager[None]]] = {BUS_SERVER: remove_care_of_bus_server}
"""By the name of a guard: what takes it away."""


def main() -> None:
    """Take the guard away and become the module."""
    _, guard, module, *arguments = sys.argv
    sys.argv = [module, *arguments]
    with REMOVALS[guard]():
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
