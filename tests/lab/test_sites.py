"""Our agent on plain hosts over real sshd: deployed, reporting, cut off half-way, removed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole
from netprobe.model.names import ClusterName, NodeName
from netprobe.model.ssh import SshAccess, SshForward
from tests.lab.namespaces import Namespaces
from tests.lab.operator_host import (
    HUB,
    OperatorHost,
    is_arriving,
    leftovers,
    slowed,
)
from tests.lab.sshd import Keys, Server, need_sshd
from tests.patience import wait_until

pytestmark = [
    pytest.mark.slow,  # an agent is packed, copied over SSH, installed and removed, several times
    *need_sshd(),
    pytest.mark.timeout(900),
]

WEST, EAST, GW, BOX = ClusterName("west"), ClusterName("east"), NodeName("gw"), NodeName("box")
OWN_LIB = "mount -t tmpfs lib /var/lib"
BUS_PORT = 14222
FACTS = "cat /var/lib/netprobe-agent/pid /var/lib/netprobe-agent/facts"


@dataclass
class SiteFleet(OperatorHost):
    """ops (with the hub) – gw – box; the box knows no way to the hub."""

    gw: Server
    box: Server

    def verify(self, rule: str) -> tuple[int, str, str]:
        path = self.folder / "intent.yaml"
        groups = "{west: {clusters: [west]}, east: {clusters: [east]}}"
        path.write_text(f"version: 1\ngroups: {groups}\nrules: [{rule}]\n")
        return self.netprobe("verify", "-f", str(path), *self.on_bus)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteFleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with Namespaces(all_users=True) as network:
        ops, gw, box = (network.host(name) for name in ("ops", "gw", "box"))
        network.link(ops, gw, "10.1.0.0/24", "fd00:1::/64")
        network.link(gw, box, "10.3.0.0/24", "fd00:3::/64")
        keys = Keys(tmp_path_factory.mktemp("keys"))
        servers = [Server(host, keys, before=OWN_LIB) for host in (gw, box)]
        yield SiteFleet(ops, keys, _inventory(*servers), folder, *servers)
        for server in servers:
            server.stop()


def _inventory(gw: Server, box: Server) -> Inventory:
    direct = SshAccess(gw.hop("10.1.0.2"), agent=False)
    behind = SshAccess(box.hop("10.3.0.2"), (gw.hop("10.1.0.2"),), agent=False, bus_port=BUS_PORT)
    west = Node(GW, NodeRole.GATEWAY, ("10.3.0.1",), ssh=direct)
    east = Node(BOX, NodeRole.GATEWAY, ("10.3.0.2",), ssh=behind)
    sites = Cluster(WEST, (west,), is_site=True), Cluster(EAST, (east,), is_site=True)
    return Inventory(sites, (Link(WEST, EAST, LinkKind.DIRECT, "direct", GW, BOX),))


def runs(server: Server, pid: str) -> bool:
    """Whether a process of that number, as the host counts them, has not ended."""
    return bool(server.on(f"cat /proc/{pid}/cmdline 2>/dev/null || :"))


def test_agents_report_and_the_one_without_a_way_out_does_so_through_ssh(fleet: SiteFleet) -> None:
    code, told, complaint = fleet.netprobe(*fleet.deploy())
    assert code == 0, told + complaint
    assert told.startswith("2 of 2 agents deployed\n")
    assert max(map(len, told.splitlines())) <= 80
    tunnel = ("sites", "tunnel", "--inventory", str(fleet.path), "--bus", HUB)
    with fleet.running(*fleet.collector(), log="collector"), fleet.running(*tunnel, log="tunnel") as log:
        wait_until("both agents speak", lambda: fleet.speaking() == {"west/gw/host", "east/box/host"})
        assert f"east/box: the bus is at its loopback port {BUS_PORT}" in log.read_text()
        code, told, complaint = fleet.netprobe("check", "west/gw", "east/box", *fleet.on_bus)
        assert code == 0, told + complaint
        assert "west/gw/host asked east/box" in told
        assert "coarser" not in told
        _verify_both_ways(fleet)
        _ask_the_hub_through_a_forward(fleet)
    status = json.loads(fleet.netprobe("sites", "status", "--inventory", str(fleet.path), "-o", "json")[1])
    assert {host["agent"]["runs"] for host in status["hosts"]} == {"process"}


def _verify_both_ways(fleet: SiteFleet) -> None:
    """Sites stand on both ends of an intent; each cell is asked by the site's own agent."""
    code, told, complaint = fleet.verify("{verdict: allow, from: west, to: east, ports: [icmp, tcp/9771]}")
    assert code == 0, told + complaint
    code, told, complaint = fleet.verify("{verdict: deny, from: east, to: west, ports: [tcp/9771]}")
    assert code == 1, told + complaint
    assert "leak" in told


def _ask_the_hub_through_a_forward(fleet: SiteFleet) -> None:
    """The box cannot reach the hub; through the gateway it does, and nothing listens any more afterwards."""
    good = fleet.inventory
    through = SshAccess(fleet.gw.hop("10.3.0.1"), agent=False)
    fleet.inventory = replace(good, forwards=(SshForward("hub", "10.1.0.1", 4222, through),))
    try:
        asked = [*fleet.on_bus, "-o", "json"]
        enter = fleet.box.host.command(
            "env", "HOME=/nonexistent", sys.executable, "-m", "netprobe", "show", "agents"
        )
        alone = subprocess.run([*enter, *asked], capture_output=True, text=True, check=False, timeout=100)
        led = [*enter, *asked, "--forwards", str(fleet.path)]
        helped = subprocess.run(led, capture_output=True, text=True, check=False, timeout=100)
    finally:
        fleet.inventory = good
        assert fleet.path.exists()
    assert alone.returncode == 2
    assert helped.returncode in (0, 1), helped.stderr
    assert len(json.loads(helped.stdout)["agents"]) == 2
    assert fleet.box.host.run("ss", "-Hltn", "src", "127.0.0.1").count("LISTEN") == 1  # the tunnel's own port


def test_the_agent_has_no_privilege_but_raw_sockets(fleet: SiteFleet) -> None:
    for server in (fleet.gw, fleet.box):
        told = server.on("cat /proc/$(cat /var/lib/netprobe-agent/pid)/status")
        status = dict(line.split(":\t", 1) for line in told.splitlines())
        raw = f"{1 << 13:016x}"
        assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {raw}
        assert status["NoNewPrivs"] == "1"
        assert "0" not in status["Uid"].split()
        assert server.on("stat -c '%a %u' /var/lib/netprobe-agent/seed").split()[0] == "600"


def test_a_changed_host_key_stops_before_anything_is_sent(fleet: SiteFleet) -> None:
    good = fleet.inventory
    wrong = fleet.keys.public(fleet.keys.client)
    (west, *others) = good.clusters
    (node,) = west.nodes
    assert node.ssh is not None
    bad = replace(node.ssh, target=replace(node.ssh.target, host_key=wrong))
    fleet.inventory = replace(good, clusters=(replace(west, nodes=(replace(node, ssh=bad),)), *others))
    try:
        code, told, _ = fleet.netprobe(*fleet.deploy("west"))
    finally:
        fleet.inventory = good
    assert code == 1
    assert "ITS HOST KEY HAS CHANGED" in " ".join(told.split())


def test_a_link_lost_half_way_leaves_the_old_agent_running(fleet: SiteFleet) -> None:
    before = fleet.gw.on(FACTS)
    with slowed(fleet.ops, "to-gw", rate="20mbit"), fleet.deploying("west") as half_way:
        wait_until("the archive is arriving", lambda: is_arriving(fleet.gw))
        fleet.gw.send_sessions(signal.SIGKILL)
        told, _ = half_way.communicate(timeout=120)
    assert half_way.returncode == 1
    assert told.startswith("0 of 1 agent deployed")
    wait_until("the host is clean", lambda: leftovers(fleet.gw) == ["netprobe-agent", "netprobe-agent-spool"])
    assert fleet.gw.on(FACTS) == before
    assert runs(fleet.gw, before.split()[0])


def test_a_host_that_is_stuck_half_way_delays_no_other_and_when_it_hangs_keeps_what_it_had(
    fleet: SiteFleet,
) -> None:
    """Over so thin a line the box's archive is on its way for three minutes; then the box stops."""
    gw_before, box_before = (server.on(FACTS) for server in (fleet.gw, fleet.box))
    with slowed(fleet.gw.host, "to-box", rate="1mbit"), fleet.deploying() as both:
        wait_until("the archive is arriving at the box", lambda: is_arriving(fleet.box))
        wait_until("the gateway has its new agent", lambda: _is_replaced(fleet.gw, gw_before))
        assert both.poll() is None
        assert is_arriving(fleet.box)
        fleet.box.send_sessions(signal.SIGSTOP)
        try:
            told, _ = both.communicate(timeout=300)
        finally:
            fleet.box.send_sessions(signal.SIGCONT)
    assert both.returncode == 1
    assert told.startswith("1 of 2 agents deployed")
    assert "✕ east/box root@10.3.0.2: install:" in told
    kept = ["netprobe-agent", "netprobe-agent-spool"]
    wait_until("the box is clean", lambda: leftovers(fleet.box) == kept)
    assert fleet.box.on(FACTS) == box_before
    assert runs(fleet.box, box_before.split()[0])


def _is_replaced(server: Server, before: str) -> bool:
    """Another agent than before stands there; between the two there is none for a moment."""
    now = server.on(f"{FACTS} 2>/dev/null || :")
    old, new = before.splitlines(), now.splitlines()
    return len(new) == len(old) and new[0] != old[0]


def test_no_secret_is_seen_anywhere(fleet: SiteFleet) -> None:
    seeds = [server.on("cat /var/lib/netprobe-agent/seed").strip() for server in (fleet.gw, fleet.box)]
    told = "".join(map(str, fleet.netprobe("sites", "status", "--inventory", str(fleet.path), "-o", "json")))
    for path in (*fleet.folder.iterdir(), *fleet.keys.folder.glob("log-*")):
        told += path.read_text(errors="replace") if path.is_file() and path.suffix != ".seed" else ""
    show = "cd /var/lib/netprobe-agent; cat log facts; tr '\\0' ' ' </proc/$(cat pid)/cmdline"
    told += "".join(server.on(show) for server in (fleet.gw, fleet.box))
    assert "netprobe-agent" in told
    assert not [secret for secret in (*seeds, *fleet.keys.secrets()) if secret in told]


def test_removal_leaves_nothing(fleet: SiteFleet) -> None:
    pids = [server.on("cat /var/lib/netprobe-agent/pid").strip() for server in (fleet.gw, fleet.box)]
    code, told, complaint = fleet.netprobe("sites", "remove", "--inventory", str(fleet.path))
    assert code == 0, told + complaint
    assert leftovers(fleet.gw) == leftovers(fleet.box) == []
    assert not any(runs(server, pid) for server, pid in zip((fleet.gw, fleet.box), pids, strict=True))


def test_hosts_without_an_agent_are_asked_with_their_own_tools_and_say_so(fleet: SiteFleet) -> None:
    by = ("--inventory", str(fleet.path))
    code, told, complaint = fleet.netprobe("check", "west/gw", "east/box", *by)
    assert code == 0, told + complaint
    assert "the host's own ping over SSH: coarser than an agent" in " ".join(told.split())
    code, told, _ = fleet.netprobe("check", "east/box", "west/gw", "--probe", "tcp", "--port", "22", *by)
    assert code == 0, told
    code, told, _ = fleet.netprobe("check", "east/box", "west/gw", "--probe", "tcp", "--port", "23", *by)
    assert code == 1
    assert "refused" in told
    code, told, _ = fleet.netprobe("check", "east/box", "west/gw", "--probe", "udp", *by)
    assert code == 2
    assert "it needs an agent" in " ".join(told.split())


def test_an_intent_is_verified_from_hosts_without_an_agent_through_their_own_tools(fleet: SiteFleet) -> None:
    with fleet.running(*fleet.collector(), log="collector"):
        wait_until("the collector serves", lambda: "agents" in fleet.snapshot())
        code, told, complaint = fleet.verify("{verdict: deny, from: west, to: east, ports: [icmp, tcp/22]}")
    assert code == 1, told + complaint
    assert "coarser" in told
