"""Before an installation: what its components need is asked for in the clusters that get it, nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from netprobe.deploy.install.objects import EXTRAS, extra_objects
from netprobe.deploy.install.preflight import check_clusters
from netprobe.discovery.k8s.client import ClusterApi, open_api
from netprobe.discovery.k8s.kubeconfig import read_contexts
from netprobe.errors import SystemRefusedError
from tests.unit.discovery.api_server import Served, serve, write_kubeconfig


async def check(tmp_path: Path, extras: Sequence[str], *clusters: Served) -> None:
    """Check these clusters, the hub first."""
    async with AsyncExitStack() as stack:
        apis: list[ClusterApi] = []
        for number, served in enumerate(clusters):
            await stack.enter_async_context(serve(served))
            file = write_kubeconfig(tmp_path / str(number), served.url)
            apis.append(await stack.enter_async_context(open_api(read_contexts([file]).choose()[0])))
        await check_clusters(
            apis,
            verb="create",
            extras=extra_objects(extras, of_the_hub=False),
            of_the_hub=extra_objects(extras, of_the_hub=True),
        )


async def test_kinds_that_the_hub_does_not_know_are_told_before_anything_is_made(tmp_path: Path) -> None:
    told = r"it does not know servicemonitors\.monitoring\.coreos\.com: install their operator first"
    with pytest.raises(SystemRefusedError, match=told):
        await check(tmp_path, ["service-monitor"], Served(), Served())
    hub, spoke = Served(groups=["monitoring.coreos.com"]), Served()
    await check(tmp_path, ["service-monitor"], hub, spoke)
    assert "create servicemonitors" in hub.reviewed
    assert "create servicemonitors" not in spoke.reviewed


async def test_each_cluster_is_asked_for_the_rights_that_it_needs(tmp_path: Path) -> None:
    groups = ["monitoring.coreos.com", "policy", "networking.k8s.io", "scheduling.k8s.io"]
    groups += ["rbac.authorization.k8s.io"]
    hub, spoke = Served(groups=groups), Served(groups=groups)
    await check(tmp_path, EXTRAS, hub, spoke)
    of_the_hub = {"persistentvolumeclaims", "poddisruptionbudgets", "servicemonitors", "prometheusrules"}
    assert {word.split()[1] for word in set(hub.reviewed) - set(spoke.reviewed)} == of_the_hub
    assert {"create networkpolicies", "create priorityclasses", "create daemonsets"} <= set(spoke.reviewed)


async def test_a_right_that_is_missing_is_told_with_its_cluster(tmp_path: Path) -> None:
    poor = Served(groups=["scheduling.k8s.io", "policy"], forbidden=frozenset({"priorityclasses"}))
    with pytest.raises(SystemRefusedError, match=r"^context 'x' of .*/0: you may not create priorityclasses"):
        await check(tmp_path, ["availability"], poor)
    await check(tmp_path, [], poor)
