"""Visits as their own processes: started, interrupted, and what they leave in the clusters."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.e2e.cluster.client import ROOT, Clusters
from tests.e2e.cluster.node_images import AGENT
from tests.e2e.test_clusters import PROD, STAGING

PATIENCE_S = 300
BOTH = ("--context", PROD, "--context", STAGING)


def start(clusters: Clusters, *words: str) -> subprocess.Popen[str]:
    """``netprobe verify`` with *words*."""
    return subprocess.Popen(
        [sys.executable, "-m", "netprobe", "verify", f"--image={AGENT.name}", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env=os.environ | {"KUBECONFIG": clusters.environment, "COLUMNS": "80"},
    )  # fmt: skip


def interrupt(clusters: Clusters, *words: str) -> tuple[int, str]:
    """A visit of both clusters, interrupted while its agents ask; the exit code, and what was said after."""
    process = start(clusters, *BOTH, *words)
    assert process.stderr is not None
    while "agents ask" not in (line := process.stderr.readline()):
        assert line, "it ended before it asked"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    return process.returncode, said


def namespaces(clusters: Clusters) -> list[str]:
    """Namespaces of visits that are still there."""
    left = []
    for context in (PROD, STAGING):
        told = clusters.kubectl(context, "get", "namespaces", "-l", "netprobe.io/visit", "-o", "name")
        left += told.split()
    return left
