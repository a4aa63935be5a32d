"""Which cluster it is, which nodes it has, how it is reached: over TLS by another name, through a proxy."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from netprobe.bus.certificates import CertificatePair, make_authority, sign_server
from netprobe.discovery.inventory.context_names import read_pattern
from netprobe.discovery.k8s.client import ApiError, open_api
from netprobe.discovery.k8s.clusters import (
    ReadableCluster,
    UnreadableCluster,
    find_duplicates,
    read_clusters,
)
from netprobe.discovery.k8s.kubeconfig import (
    IN_CLUSTER,
    Context,
    open_client,
    read_contexts,
)
from netprobe.discovery.k8s.schema import Version
from netprobe.errors import InputError
from netprobe.render.terminal.clusters import clusters_document, clusters_table
from netprobe.render.terminal.tables import render_text
from tests.unit.discovery.api_server import (
    Json,
    Served,
    serve,
    write_kubeconfig,
)
from tests.unit.discovery.fabrics import submariner_objects as made

SYSTEM = {"metadata": {"name": "kube-system", "uid": "uid-of-kube-system"}}
NAME = "api.prod.example"


def node(name: str, cidr: str = "", **labels: str) -> Json:
    told = {key.replace("__", "/").replace("_", "."): value for key, value in labels.items()}
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": name, "labels": told}, "spec": {"podCIDR": cidr}, "status": ready}


def context_of(tmp_path: Path, served: Served) -> Context:
    return read_contexts([write_kubeconfig(tmp_path / "config", served.url)]).choose()[0]


async def identity_of(served: Served, tmp_path: Path) -> str:
    async with serve(served):
        (found,) = await read_clusters([context_of(tmp_path, served)], timeout_s=60)
    assert isinstance(found, ReadableCluster), found
    return found.facts.identity


async def test_a_cluster_is_who_its_property_says_else_its_system_namespace(tmp_path: Path) -> None:
    namespaces = {"namespaces": [SYSTEM]}
    about = ["about.k8s.io"]
    assert (
        await identity_of(Served(items=namespaces, groups=about, identity="fleet-7"), tmp_path) == "fleet-7"
    )
    assert await identity_of(Served(items=namespaces), tmp_path) == "uid-of-kube-system"
    for refusal in (403, 404):
        served = Served(items=namespaces, groups=about, identity=refusal)
        assert await identity_of(served, tmp_path) == "uid-of-kube-system"
    assert await identity_of(Served(), tmp_path) == ""


async def test_two_names_of_one_cluster_are_told(tmp_path: Path) -> None:
    async with serve(Served(items={"namespaces": [SYSTEM]})) as served:
        one = context_of(tmp_path, served)
        other = Context("y", write_kubeconfig(tmp_path / "other", served.url), served.url)
        other.file.write_text(other.file.read_text().replace('"x"', '"y"'))  # type: ignore[union-attr]
        readings = await read_clusters([one, other], timeout_s=60)
    assert find_duplicates(readings) == (("x", "y"),)


async def test_nodes_that_are_no_machines_are_left_out_and_counted(tmp_path: Path) -> None:
    nodes = [
        node("w1", "10.1.0.0/24"), node("w2", "10.1.1.0/24"),
        node("far", liqo_io__type="virtual-node"), node("aci", type="virtual-kubelet"),
        node("win", kubernetes_io__os="windows"),
    ]  # fmt: skip
    async with serve(Served(items={"nodes": nodes})) as served:
        (found,) = await read_clusters([context_of(tmp_path, served)], timeout_s=60)
    assert isinstance(found, ReadableCluster)
    assert [one.name for one in found.facts.cluster.nodes] == ["w1", "w2"]
    assert (found.facts.virtual_nodes, found.facts.windows_nodes) == (2, 1)
    assert found.facts.cluster.pod_cidrs == ("10.1.0.0/23",)


async def test_the_list_shows_version_reach_nodes_fabric_and_ranges(tmp_path: Path) -> None:
    cidrs = {"metadata": {"name": "k"}, "spec": {"cidrs": ["10.96.0.0/16"]}}
    items: dict[str, list[Json]] = {
        "nodes": [node("w1", "10.1.0.0/24")],
        "servicecidrs": [cidrs],
        "namespaces": [SYSTEM],
    }
    async with serve(Served(items=items, groups=["submariner.io"])) as served:
        away = Context("staging-eu-central-1", write_kubeconfig(tmp_path / "away", "http://127.0.0.1:1"))
        readings = await read_clusters(
            [context_of(tmp_path, served), away], timeout_s=60, pattern=read_pattern("(?P<region>eu-[a-z]+)")
        )
    shown = render_text(clusters_table(readings), width=80)
    assert max(map(len, shown.splitlines())) <= 80
    for word in ("v1.36.2", "Submariner", "pods 10.1.0.0/24", "10.96.0.0/16", "✗ unreachable"):
        assert word in shown, shown
    assert [str(one.place.region) for one in readings if isinstance(one, UnreadableCluster)] == ["eu-central"]


async def test_peers_and_links_are_beside_each_other_with_what_is_claimed(tmp_path: Path) -> None:
    items = {"nodes": [node("east-gw", "10.1.0.0/24")], "namespaces": [SYSTEM], **made.east()}
    served_kinds = {"submariner.io/v1": list(made.east())}
    async with serve(Served(items=items, resources=served_kinds)) as served:
        readings = await read_clusters([context_of(tmp_path, served)], timeout_s=60)
    shown = render_text(clusters_table(readings), width=80)
    assert max(map(len, shown.splitlines())) <= 80
    row = shown[shown.index("peer") :]
    for word in ("west", "not read", "Submariner · ipsec · port 4501", "connected"):
        assert word in row, shown
    document = json.loads(json.dumps(clusters_document(readings)))
    (entry,) = document["clusters"]
    assert entry["peers"] == [
        {"cluster": "west", "known": False, "fabric": "Submariner", "mechanism": "ipsec", "remapped": False,
         "routed": True, "claimed": ["connected"]},
    ]  # fmt: skip


# --- how an API is reached ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> CertificatePair:
    return make_authority(now=datetime.now(UTC))


def server_context(authority: CertificatePair, directory: Path) -> ssl.SSLContext:
    shown = sign_server(authority, [NAME], now=datetime.now(UTC))
    (directory / "tls.crt").write_bytes(shown.certificate)
    (directory / "tls.key").write_bytes(shown.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    return context


async def version_of(context: Context) -> str:
    async with open_api(context) as api:
        return (await api.get("/version", Version)).git_version


async def test_a_server_behind_another_name_proves_the_name_that_is_written(
    authority: CertificatePair, tmp_path: Path
) -> None:
    async with serve(Served(), context=server_context(authority, tmp_path)) as served:
        plain = read_contexts(
            [write_kubeconfig(tmp_path / "plain", served.url, authority=authority.certificate)]
        ).choose()[0]
        with pytest.raises(ApiError, match="certificate is not trusted"):
            await version_of(plain)
        named = write_kubeconfig(
            tmp_path / "named", served.url, authority=authority.certificate, tls_server_name=NAME
        )
        assert await version_of(read_contexts([named]).choose()[0]) == "v1.36.2"


@asynccontextmanager
async def proxy(asked: list[str]) -> AsyncIterator[str]:
    """A proxy that tunnels (CONNECT, RFC 9110 section 9.3.6) and remembers where to."""

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
        target.close()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b"\r\n")[0].decode())
        host, _, port = head.split()[1].decode().rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = await asyncio.start_server(tunnel, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()


async def test_a_proxy_that_is_written_is_used(authority: CertificatePair, tmp_path: Path) -> None:
    asked: list[str] = []
    async with serve(Served(), context=server_context(authority, tmp_path)) as served, proxy(asked) as way:
        file = write_kubeconfig(
            tmp_path / "config",
            served.url,
            authority=authority.certificate,
            tls_server_name=NAME,
            proxy_url=way,
        )
        assert await version_of(read_contexts([file]).choose()[0]) == "v1.36.2"
        assert asked == [f"CONNECT {served.url.removeprefix('https://')} HTTP/1.1"]


async def test_outside_of_a_pod_its_account_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(InputError, match=r"^the pod's own ServiceAccount: "):
        await open_client(Context(IN_CLUSTER, None))
