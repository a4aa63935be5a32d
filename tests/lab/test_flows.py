"""Every kind keeps to one way per flow, where a real router spreads flows over two (ECMP).

a (prod/w1/pod) ── r ─┬─ x ─┬─ s ── b (dev/w1/pod)
                      └─ y ─┘

Routers x and y note each flow that they forward towards b. A kind that changed a port, a flow label or a
checksum half-way would be noted by both, and what it measured would be a mixture of two ways.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from netprobe.model.check import Check, Probe, TargetKind
from netprobe.model.outcome import Reached
from tests.lab import agents, servers
from tests.lab.agent_asker import Asker
from tests.lab.agents import MS, PORT, make_check
from tests.lab.ecmp_network import (
    B4,
    B6,
    A,
    B,
    TwoWays,
    two_ways,
)
from tests.lab.namespaces import Host, need_namespaces
from tests.lab.servers import NAME, serving

pytestmark = [
    pytest.mark.lab,
    need_namespaces(),
    pytest.mark.skipif(bool(servers.why_not()), reason=servers.why_not() or "servers work"),
]

BOTH = pytest.mark.parametrize("address", [B4, B6], ids=["v4", "v6"])
PROBES = {
    "icmp": (Probe("icmp"), 8),
    "udp": (Probe("udp", PORT), 8),
    "tcp": (Probe("tcp", servers.HTTP), 3),
    "tls": (Probe("tls", servers.HTTPS, name=NAME), 3),
    "http": (Probe("http", servers.HTTP), 3),
    "https": (Probe("http", servers.HTTPS, name=NAME, options=(("tls", "yes"),)), 3),
    "grpc": (Probe("grpc", servers.GRPC), 3),
    "dns": (Probe("dns", servers.DNS, name=NAME), 3),
    "pmtu": (Probe("pmtu", PORT), 1),
    "idle": (Probe("idle", PORT, options=(("gaps", "1,2"),)), 1),
    "firewalk": (Probe("firewalk", 7, options=(("control", str(PORT)), ("transport", "udp"))), 1),
}
"""How it is asked, and how often."""


@dataclass(frozen=True, slots=True)
class Scene:
    hosts: TwoWays
    asker: Asker

    def ask(self, kind: str, address: str) -> list[object]:
        """One question, asked so often as its kind needs; how it ended each time."""
        probe, count = PROBES[kind]
        return list(self.asker.ask(_check(address, probe, count)).outcomes)


def _check(address: str, probe: Probe, count: int) -> Check:
    asked = replace(probe, timeout_ns=20_000 * MS)
    if probe.kind in {"udp", "pmtu", "firewalk"}:
        return make_check(A, address, asked, name=str(B), count=count)
    return make_check(A, address, asked, name=address, kind=TargetKind.OUTSIDE, count=count)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("flows")
    with (
        two_ways() as made,
        agents.running(made.b, B, folder=folder),
        serving(made.b, folder),
        Asker(made.a) as asker,
    ):
        yield Scene(made, asker)


@pytest.fixture
def scene(network: Scene) -> Iterator[Scene]:
    """Both routers note what passes, from now on."""
    for router in (network.hosts.x, network.hosts.y):
        router.nft(
            "add set inet test ported"
            " { typeof meta nfproto . meta l4proto . th sport . th dport; flags dynamic; size 9999; }",
            "add set inet test echoes { typeof meta nfproto; flags dynamic; size 9; }",
            "add rule inet test forward iifname to-r meta l4proto { tcp, udp }"
            " add @ported { meta nfproto . meta l4proto . th sport . th dport }",
            "add rule inet test forward iifname to-r icmp type echo-request add @echoes { meta nfproto }",
            "add rule inet test forward iifname to-r icmpv6 type echo-request add @echoes { meta nfproto }",
        )
    yield network
    for router in (network.hosts.x, network.hosts.y):
        router.nft()


def flows_through(router: Host) -> set[str]:
    """Each flow that it has forwarded towards b."""
    told = json.loads(router.run("nft", "-j", "list", "sets", "inet"))["nftables"]
    noted = [each["set"] for each in told if each.get("set", {}).get("table") == "test"]
    return {f"{one['name']} {json.dumps(flow)}" for one in noted for flow in one.get("elem", ())}


@BOTH
def test_no_kind_changes_its_way_within_a_flow(scene: Scene, address: str) -> None:
    for kind in PROBES:
        outcomes = scene.ask(kind, address)
        assert all(isinstance(outcome, Reached) for outcome in outcomes), (kind, outcomes)
    over_x, over_y = flows_through(scene.hosts.x), flows_through(scene.hosts.y)
    assert over_x, "some flow went each way"
    assert over_y, "some flow went each way"
    assert not over_x & over_y, "a flow that went both ways"
