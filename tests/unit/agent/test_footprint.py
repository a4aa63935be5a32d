"""The agent runs on every node, so packages that it does not need are not imported."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = (
    "networkx", "matplotlib", "kubernetes", "asyncssh", "sqlalchemy", "scapy", "pandas", "yaml", "click",
    "rich", "numpy", "jinja2", "pyroute2", "jwt",
)  # fmt: skip

PROGRAM = """
import json, sys
import netprobe_agent.main, netprobe_agent.serve, netprobe_agent.run
from netprobe.probes import registry
assert list(registry.iter_kinds())
resident = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
modules = sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps({"modules": modules, "rss_kib": resident.split()[1]}))
"""


def test_heavy_libraries_stay_out_of_the_agent() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    told = json.loads(done.stdout)
    assert "netprobe_agent" in told["modules"]
    assert sorted(set(told["modules"]) & set(HEAVY)) == []
    assert int(told["rss_kib"]) < 64 * 1024, "the whole agent has 64 MiB; its imports must leave room"
