"""Declared clusters and the contexts of a person: joined by API servers, and by nothing else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from netprobe.cli.actions.installation import read_declared_selection
from netprobe.cli.options.clusters import ContextSelection
from netprobe.discovery.cluster_sources.api_addresses import read_address
from netprobe.discovery.cluster_sources.context_matches import match_contexts
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.errors import InputError, SystemRefusedError
from netprobe.model.declared_cluster import DeclaredCluster
from netprobe.model.fabric import ObjectReference
from tests.unit.discovery.api_server import Served, serve, write_kubeconfig
from tests.unit.discovery.cluster_sources import declared_objects as made

FILE = Path("config")


def declared(name: str, server: str) -> DeclaredCluster:
    return DeclaredCluster("x", name, read_address(server), ObjectReference("", "secrets", "n", name))


@pytest.mark.parametrize(
    ("server", "other", "is_same"),
    [
        ("https://a.example", "https://A.example:443/", True),
        ("https://a.example/k8s/c-1", "https://a.example/k8s/c-1", True),
        ("https://a.example/k8s/c-1", "https://a.example/k8s/c-2", False),
        ("https://a.example:6443", "https://a.example", False),
        ("", "", False),
        ("nonsense", "nonsense", False),
    ],
)
def test_an_api_server_is_its_host_port_and_path(server: str, other: str, is_same: bool) -> None:
    found = match_contexts([declared("one", server)], [Context("any name", FILE, other)])
    assert len(found.contexts) == is_same
    assert len(found.unreached) == (not is_same)


def test_a_name_alone_joins_nothing_and_decides_between_equal_ways() -> None:
    server = "https://a.example:6443"
    contexts = [Context("admin@prod", FILE, server), Context("prod", FILE, server), Context("dev", FILE, "")]
    found = match_contexts([declared("prod", server), declared("dev", "https://d.example")], contexts)
    assert [context.name for context in found.contexts] == ["prod"]
    assert [one.name for one in found.unreached] == ["dev"]


def write_contexts(path: Path, mgmt: str, others: dict[str, str]) -> Path:
    """A kubeconfig: its current context ``x`` leads to *mgmt*."""
    document = json.loads(write_kubeconfig(path, mgmt).read_text())
    for name, server in others.items():
        document["clusters"].append({"name": name, "cluster": {"server": server}})
        document["contexts"].append({"name": name, "context": {"cluster": name, "user": "x"}})
    path.write_text(json.dumps(document))
    return path


async def choose(
    served: Served, folder: Path, others: dict[str, str], hub: str | None = None
) -> tuple[list[str], str]:
    async with serve(served):
        config = write_contexts(folder / "config", served.url, others)
        selection = ContextSelection(files=(config,))
        found = await asyncio.to_thread(read_declared_selection, selection, hub, ["kubefed"])
    return [context.name for context in found.contexts], found.hub.name


async def test_an_installation_goes_where_the_system_says(tmp_path: Path) -> None:
    others = {"mine": made.SERVER, "another": "https://another.example"}
    assert await choose(made.kubefed().served(), tmp_path, others) == (["mine"], "x")
    assert await choose(made.kubefed().served(), tmp_path, others, "another") == (["mine"], "another")


async def test_a_cluster_without_a_context_stops_it_before_anything_is_changed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"no context of your kubeconfig leads to prod .{made.SERVER}"):
        await choose(made.kubefed().served(), tmp_path, {})


async def test_a_system_that_is_not_there_stops_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no cluster is known there: KubeFed: is not installed there"):
        await choose(Served(), tmp_path, {})


def test_a_context_that_cannot_be_reached_stops_it(tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1")
    with pytest.raises(SystemRefusedError, match="cannot be reached"):
        read_declared_selection(ContextSelection(files=(config,)), None, ["kubefed"])
