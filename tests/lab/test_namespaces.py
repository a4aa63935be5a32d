"""The networks of tests leave nothing behind, however the process ends that made them."""

from __future__ import annotations

import subprocess
import sys

from tests.lab.namespaces import need_namespaces

pytestmark = need_namespaces()

MAKE = """
import sys
from tests.lab.namespaces import Namespaces
with Namespaces() as network:
    a, b = network.host("a"), network.host("b")
    network.link(a, b, "10.1.0.0/24", "fd00:1::/64")
    print(*a.command(), flush=True)
    sys.stdin.read()
"""
WATCH = """
ip link show to-b >/dev/null && echo joined
while ip link show to-b >/dev/null 2>&1; do sleep 0.05; done
echo alone
"""


def test_a_killed_process_leaves_no_namespace() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as maker:
        assert maker.stdout is not None
        enter = maker.stdout.readline().split()
        with subprocess.Popen([*enter, "sh", "-c", WATCH], stdout=subprocess.PIPE, text=True) as watcher:
            assert watcher.stdout is not None
            assert watcher.stdout.readline() == "joined\n"
            maker.kill()
            # The far end of the cable went with its namespace, which nothing else kept.
            assert watcher.stdout.readline() == "alone\n"
