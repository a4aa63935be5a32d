"""``netprobe verify --context`` where it cannot be done: one clear line that says why, nothing half-left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jwt
import pytest

from tests.e2e.cluster.client import ROOT, Clusters
from tests.e2e.cluster.node_images import AGENT
from tests.e2e.test_clusters import PROD, STAGING

pytestmark = pytest.mark.timeout(400)
PATIENCE_S = 300
AWAY = "cannot be reached: Connection refused: does it run, and is it reached from here (VPN, proxy-url)?"
MARK = "netprobe.io/visit"


def visit(clusters: Clusters, *words: str | Path) -> str:
    """Visit PROD and what *words* say; the one line that says why not."""
    own = ("--kubeconfig", clusters.kubeconfigs[PROD], "--context", PROD)
    ran = subprocess.run(
        [sys.executable, "-m", "netprobe", "verify", *map(str, (*own, *words))],
        capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_S, check=False,
        env=os.environ | {"COLUMNS": "80", "NETPROBE_AGENT_IMAGE": AGENT.name},
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
    (line,) = ran.stderr.splitlines()
    assert visits(clusters) == []
    return line


def visits(clusters: Clusters) -> list[str]:
    """Namespaces of visits that are there."""
    told = (clusters.kubectl(name, "get", "namespaces", "-l", MARK, "-o", "name") for name in (PROD, STAGING))
    return [line for lines in told for line in lines.split()]


def changed(clusters: Clusters, at: Path, *, server: str = "", token: str = "") -> tuple[str | Path, ...]:
    """Options that name another context, of STAGING with another server or another user."""
    config = json.loads(clusters.kubeconfigs[STAGING].read_text())
    if server:
        config["clusters"][0]["cluster"]["server"] = server
    if token:
        config["users"][0]["user"] = {"token": token}
    path = at / "other.json"
    path.write_text(json.dumps(config))
    return "--kubeconfig", path, "--context", STAGING


def account_token(clusters: Clusters) -> str:
    return clusters.kubectl(STAGING, "create", "token", "default").strip()


def expired_token(clusters: Clusters) -> str:
    """A token as the API server signs them, which was good until an hour ago."""
    claims = jwt.decode(account_token(clusters), options={"verify_signature": False})
    hour_ago = int(time.time()) - 3_600
    child = Path(f"/proc/{clusters.pid}/task/{clusters.pid}/children").read_text().split()[0]
    key = Path(f"/proc/{child}/root/run/netprobe-e2e/{STAGING}/accounts.key").read_bytes()
    first = key[: key.index(b"-----END") + len(b"-----END EC PRIVATE KEY-----\n")]
    times = {"iat": hour_ago - 600, "nbf": hour_ago - 600, "exp": hour_ago}
    return jwt.encode(claims | times, first, algorithm="ES256")


def test_a_context_that_does_not_exist(clusters: Clusters) -> None:
    told = visit(clusters, "--context", "absent")
    assert f"no context is called 'absent'; there are: {PROD}" in told


def test_an_expired_token(clusters: Clusters, tmp_path: Path) -> None:
    told = visit(clusters, *changed(clusters, tmp_path, token=expired_token(clusters)))
    assert told.endswith("the server does not accept the credentials (expired or revoked?): sign in again")
    assert f"context '{STAGING}'" in told


def test_no_permission_for_a_namespace(clusters: Clusters, tmp_path: Path) -> None:
    told = visit(clusters, *changed(clusters, tmp_path, token=account_token(clusters)))
    assert f"context '{STAGING}'" in told
    assert (
        "you may not create namespaces, daemonsets, services, pods/exec nor get namespaces, pods/exec nor "
        in told
    )
    assert told.endswith("ask its administrator for it, or to do it for you")


def test_an_api_that_cannot_be_reached(clusters: Clusters, tmp_path: Path) -> None:
    told = visit(clusters, *changed(clusters, tmp_path, server="https://127.0.0.1:1"))
    assert f"context '{STAGING}'" in told
    assert told.endswith(f"https://127.0.0.1:1 {AWAY}")


def test_every_cluster_that_refuses_is_in_the_line(clusters: Clusters, tmp_path: Path) -> None:
    clusters.kubectl(PROD, "create", "namespace", "netprobe-verify-left")
    clusters.kubectl(PROD, "label", "namespace", "netprobe-verify-left", f"{MARK}=true")
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "netprobe", "verify", f"--kubeconfig={clusters.kubeconfigs[PROD]}",
             f"--context={PROD}", *map(str, changed(clusters, tmp_path, server="https://127.0.0.1:1"))],
            capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_S, check=False,
            env=os.environ | {"NETPROBE_AGENT_IMAGE": AGENT.name},
        )  # fmt: skip
        assert visits(clusters) == ["namespace/netprobe-verify-left"]
    finally:
        clusters.kubectl(PROD, "delete", "namespace", "netprobe-verify-left")
    (line,) = ran.stderr.splitlines()
    assert (ran.returncode, ran.stdout) == (2, "")
    left = "another visit is running, or one that was killed left netprobe-verify-left"
    assert f"{left}: wait for it to end, or: kubectl delete namespace -l {MARK}; " in line
    assert line.endswith(f"https://127.0.0.1:1 {AWAY}")


def test_the_same_cluster_twice(clusters: Clusters, tmp_path: Path) -> None:
    config = json.loads(clusters.kubeconfigs[PROD].read_text())
    config["contexts"][0]["name"] = config["current-context"] = "twin"
    (tmp_path / "twin.json").write_text(json.dumps(config))
    told = visit(clusters, "--kubeconfig", tmp_path / "twin.json", "--context", "twin")
    assert told.endswith(
        f"is the same cluster as context '{PROD}' of {clusters.kubeconfigs[PROD]}: name it once"
    )
