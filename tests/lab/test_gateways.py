"""Real gateways with a real WireGuard tunnel, asked over a real sshd, against real faults."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec
import pytest

from netprobe.analysis.gateway_evidence.statements import EXACT_COUNT, SPEAKS_FOR, GatewayReadings
from netprobe.analysis.gateway_evidence.weighting import weigh_finding
from netprobe.discovery.inventory.file import dump_inventory
from netprobe.model import component as parts
from netprobe.model.finding import Cause, Finding
from netprobe.model.gateway import Reading, RuleCounter
from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole
from netprobe.model.names import ClusterName, NodeId, NodeName
from netprobe.model.prose import Prose
from netprobe.model.snapshot import Snapshot
from netprobe.model.ssh import SshAccess
from netprobe.store.bundle import write_bundle
from tests.lab.namespaces import Host, Namespaces
from tests.lab.sshd import Keys, Server, need_sshd

NO_WIREGUARD = ", ".join(tool for tool in ("wg", "wireguard-go") if shutil.which(tool) is None)
pytestmark = [
    *need_sshd(),
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(NO_WIREGUARD), reason=f"not installed: {NO_WIREGUARD}"),
]

WEST, EAST, GW = ClusterName("west"), ClusterName("east"), NodeName("gw")
BEGIN = """\
ip link add wg0 type wireguard 2>/dev/null || LOG_LEVEL=error wireguard-go wg0
wg set wg0 private-key {key} listen-port 51820 peer {peer} endpoint {endpoint}:51820 allowed-ips {ranges} \
    persistent-keepalive 1
ip addr add {inner} dev wg0
ip link set wg0 mtu 1420 up
ip route add {ranges} dev wg0
"""


@dataclass
class Pair:
    """ops – west – east, with a tunnel between both gateways."""

    ops: Host
    west: Server
    east: Server
    keys: Keys
    wireguard_keys: list[str]
    inventory: Inventory
    folder: Path

    def netprobe(self, *words: str) -> tuple[int, str, str]:
        argv = self.ops.command(
            "env", "HOME=/nonexistent", "COLUMNS=80", sys.executable, "-m", "netprobe", *words
        )
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        return done.returncode, done.stdout, done.stderr

    def logins(self) -> str:
        """The file that says how both gateways are reached; a bundle does not."""
        path = self.folder / "inventory.yaml"
        path.write_text(dump_inventory(self.inventory))
        return str(path)

    def status(self, *words: str) -> tuple[int, str, str]:
        return self.netprobe("sites", "status", "--inventory", self.logins(), *words)

    def facts(self, kind: str, *words: str) -> list[dict[str, Any]]:
        code, told, complaint = self.status("-o", "json", "west", *words)
        assert code == 0, told + complaint
        return [fact for fact in json.loads(told)["hosts"][0]["facts"] if fact["kind"] == kind]


def _wireguard_key(path: Path) -> tuple[Path, str]:
    path.write_text(subprocess.check_output(["wg", "genkey"], text=True))
    return path, subprocess.check_output(["wg", "pubkey"], input=path.read_text(), text=True).strip()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    with Namespaces(all_users=True) as network:
        ops, west, east = (network.host(name) for name in ("ops", "west", "east"))
        network.link(ops, west, "10.1.0.0/24", "fd00:1::/64")
        network.link(west, east, "10.3.0.0/24", "fd00:3::/64")
        west.forward()
        ops.default_via(west)
        ends = [_wireguard_key(folder / name) for name in ("wg-west", "wg-east")]
        keys = Keys(tmp_path_factory.mktemp("keys"))
        servers = []
        for host, (mine, _), (_, theirs), endpoint, inner, ranges in (
            (west, ends[0], ends[1], "10.3.0.2", "10.201.0.1/16", "10.202.0.0/16"),
            (east, ends[1], ends[0], "10.3.0.1", "10.202.0.1/16", "10.201.0.0/16"),
        ):
            begin = folder / f"begin-{host.name}"
            begin.write_text(
                BEGIN.format(key=mine, peer=theirs, endpoint=endpoint, inner=inner, ranges=ranges)
            )
            servers.append(Server(host, keys, before=f"sh -e {begin}"))
        east.ip("route add 10.1.0.0/24 via 10.3.0.1\n")
        secrets = [path.read_text().strip() for path, _ in ends]
        yield Pair(ops, servers[0], servers[1], keys, secrets, _inventory(*servers), folder)
        for server in servers:
            server.stop()


def _inventory(west: Server, east: Server) -> Inventory:
    def site(name: ClusterName, server: Server, *, ssh: str, outer: str, pods: str) -> Cluster:
        access = SshAccess(server.hop(ssh), agent=False)
        inner = str(ip_network(pods)[1])
        node = Node(GW, NodeRole.GATEWAY, host_addresses=(inner,), outer_addresses=(outer,), ssh=access)
        return Cluster(name, (node,), pod_cidrs=(pods,), is_site=True)

    sites = (
        site(WEST, west, ssh="10.1.0.2", outer="10.3.0.1", pods="10.201.0.0/16"),
        site(EAST, east, ssh="10.3.0.2", outer="10.3.0.2", pods="10.202.0.0/16"),
    )
    return Inventory(sites, (Link(WEST, EAST, LinkKind.TUNNEL, "wireguard", GW, GW, mtu=1420),))


def wait_for_handshake(pair: Pair) -> None:
    for _ in range(60):
        if any(fact["heard_s"] is not None for fact in pair.facts("TunnelPeer")):
            return
        time.sleep(0.5)
    raise AssertionError("the tunnel never had a handshake")


def test_status_tells_key_uptime_tools_and_the_tunnel_within_80_columns(pair: Pair) -> None:
    wait_for_handshake(pair)
    code, told, complaint = pair.status("--to", "10.202.0.1")
    assert code == 0, told + complaint
    assert told.startswith("2 of 2 hosts answer\n")
    assert "west/gw" in told
    assert "SHA256:" in told
    assert "the tunnel's last handshake was" in told
    assert "the route to 10.202.0.1 leads to wg0" in told
    assert max(map(len, told.splitlines())) <= 80


def test_a_dead_host_is_named_and_the_others_answer(pair: Pair) -> None:
    pair.east.send_signal(signal.SIGSTOP)
    try:
        code, told, _ = pair.status()
    finally:
        pair.east.send_signal(signal.SIGCONT)
    assert code == 1
    assert told.startswith("1 of 2 hosts answer\n")
    assert "✕ east/gw root@10.3.0.2: no answer within 10 s" in told


def test_no_private_key_is_ever_printed(pair: Pair) -> None:
    printed = "".join("".join(map(str, pair.status("-o", form))) for form in ("json", "yaml", "table"))
    logs = "".join(path.read_text() for path in pair.keys.folder.glob("log-*"))
    assert "wg0" in printed
    for secret in (*pair.wireguard_keys, *pair.keys.secrets()):
        assert secret not in printed + logs


def test_the_counter_of_a_drop_rule_moves_by_exactly_our_packets(pair: Pair) -> None:
    pair.west.host.nft("add rule inet test forward ip daddr 10.3.0.2 icmp type echo-request counter drop")
    try:
        before = _counters(pair)
        subprocess.run(
            pair.ops.command("ping", "-q", "-c", "20", "-i", "0.01", "-W", "0.2", "10.3.0.2"), check=False,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        after = _counters(pair)
    finally:
        pair.west.host.nft()
    finding = Finding(
        "f", (parts.firewall_rule(NodeId.parse("west/gw"), port="icmp"),), Cause.POLICY_DROP, 0.5, Prose("")
    )
    weighed = weigh_finding(finding, [GatewayReadings(after, before, sent=20)], inventory=pair.inventory)
    (told,) = (str(each.text) for each in weighed.evidence_for)
    assert told.endswith("in inet test forward moved by exactly our 20 packets")
    assert weighed.confidence == pytest.approx(EXACT_COUNT / (1 + EXACT_COUNT))


def test_routing_rules_reverse_paths_interfaces_and_connections_are_read_from_the_kernel(pair: Pair) -> None:
    west = pair.west.host
    west.nft("add rule inet test forward ct state established counter accept")  # starts the tracking
    west.ip("rule add from 10.9.9.9 lookup main\n")
    west.set_sysctls({"ipv4/conf/wg0/rp_filter": "1"})
    try:
        code, told, complaint = pair.status("-o", "json", "west")
    finally:
        west.set_sysctls({"ipv4/conf/wg0/rp_filter": "0"})
        west.ip("rule del from 10.9.9.9 lookup main\n")
        west.nft()
    assert code == 0, told + complaint
    facts = json.loads(told)["hosts"][0]["facts"]
    (rules,) = (fact for fact in facts if fact["kind"] == "PolicyRules")
    assert rules["count"] == 1
    assert [f["mode"] for f in facts if f["kind"] == "ReversePath" and f["interface"] == "wg0"] == [1]
    (link,) = (fact for fact in facts if fact["kind"] == "LinkCounters" and fact["interface"] == "wg0")
    assert (link["up"], link["mtu"]) == (True, 1420)
    assert link["sent"] > 0
    (table,) = (fact for fact in facts if fact["kind"] == "ConnectionTable")
    assert 1 <= table["entries"] <= table["limit"]  # our own connection over SSH at least
    assert table["insert_failed"] is not None


def _counters(pair: Pair) -> Reading:
    facts = pair.facts("RuleCounter")
    kept = [{key: value for key, value in fact.items() if key not in ("kind", "says")} for fact in facts]
    return Reading("west/gw", 0, tuple(msgspec.convert(fact, RuleCounter) for fact in kept))


DROPS_PINGS = 'add rule inet test input iifname "wg0" icmp type echo-request counter drop'


def test_diagnosis_sends_packets_of_its_own_and_finds_them_in_the_counter_of_the_rule(pair: Pair) -> None:
    wait_for_handshake(pair)
    finding = Finding(
        "f", (parts.firewall_rule(NodeId.parse("east/gw"), port="icmp"),), Cause.POLICY_DROP, 0.6, Prose("")
    )
    pair.east.host.nft(DROPS_PINGS)
    try:
        told = _diagnose(pair, finding)
    finally:
        pair.east.host.nft()
    said = json.dumps(told)
    assert "in inet test input moved by exactly our 20 packets" in said
    assert "west/gw: 0 of its own 20 pings to east/gw were answered" in said
    odds = EXACT_COUNT * 0.6 / 0.4
    assert told["confidence"] == pytest.approx(odds / (1 + odds), abs=1e-3)


def test_why_tells_that_what_one_direction_loses_is_dropped_behind_the_tunnel_and_by_which_rule(
    pair: Pair,
) -> None:
    wait_for_handshake(pair)
    lost = (parts.tunnel(WEST, EAST),)
    finding = Finding(
        "f", lost, Cause.RETURN_PATH_DROPPED, 0.6, Prose("Dropped."), first_seen_ns=time.time_ns()
    )
    bundle = pair.folder / "one-way"
    write_bundle(bundle, Snapshot(time.time_ns(), 10**9, pair.inventory, findings=(finding,)))
    pair.east.host.nft(DROPS_PINGS)
    try:
        code, told, complaint = pair.netprobe(
            "why", "west", "east", "--from", str(bundle), "--ssh-inventory", pair.logins()
        )
    finally:
        pair.east.host.nft()
    assert code == 1, complaint
    said = " ".join(told.split())
    assert "in inet test input moved by exactly our 20 packets" in said, told
    assert "came out at east/gw: what vanishes is dropped behind the tunnel" in said, told
    assert max(map(len, told.splitlines())) <= 80


def _diagnose(pair: Pair, finding: Finding) -> dict[str, Any]:
    bundle = pair.folder / "bundle"
    write_bundle(bundle, Snapshot(time.time_ns(), 10**9, pair.inventory, findings=(finding,)))
    code, told, complaint = pair.netprobe(
        "diagnose", "--from", str(bundle), "--ssh-inventory", pair.logins(), "-o", "json"
    )
    assert code == 1, complaint
    (found,) = (one for one in json.loads(told)["findings"] if one["cause"] == finding.cause)
    assert isinstance(found, dict)
    return found


def test_a_tunnel_that_gateways_call_connected_is_a_contradiction(pair: Pair) -> None:
    wait_for_handshake(pair)
    long_ago = time.time_ns() - 3_600 * 10**9
    finding = Finding(
        "f", (parts.tunnel(WEST, EAST),), Cause.TUNNEL_DOWN, 0.75, Prose("down"), first_seen_ns=long_ago
    )
    told = json.dumps(_diagnose(pair, finding))
    assert "contradiction: west/gw says connected (the tunnel's last handshake was" in told
    assert "contradiction: east/gw says connected" in told
    # Two gateways and the pings between them, each of them divides the odds of three to one by three.
    assert _diagnose(pair, finding)["confidence"] == pytest.approx(1 / (1 + SPEAKS_FOR**2), abs=1e-3)


def test_why_tells_the_contradiction_beside_what_packets_say(pair: Pair) -> None:
    wait_for_handshake(pair)
    began_ns = time.time_ns() - 3_600 * 10**9
    finding = Finding("f", (parts.tunnel(WEST, EAST),), Cause.TUNNEL_DOWN, 0.9, Prose("The tunnel is down."),
                      first_seen_ns=began_ns)  # fmt: skip
    bundle = pair.folder / "why"
    write_bundle(bundle, Snapshot(time.time_ns(), 10**9, pair.inventory, findings=(finding,)))
    code, told, complaint = pair.netprobe(
        "why", "west", "east", "--from", str(bundle), "--ssh-inventory", pair.logins()
    )
    assert code == 1, complaint
    said = " ".join(told.split())
    assert "connected, but packets do not pass" in said, told
    assert "contradiction: west/gw says connected" in said
    assert max(map(len, told.splitlines())) <= 80


def test_a_tunnel_that_swallows_packets_is_confirmed_by_its_gateways(pair: Pair) -> None:
    wait_for_handshake(pair)
    drop = "add rule inet test input udp dport 51820 counter drop"
    pair.west.host.nft(drop)
    pair.east.host.nft(drop)
    try:
        finding = Finding(
            "f",
            (parts.tunnel(WEST, EAST),),
            Cause.TUNNEL_DOWN,
            0.6,
            Prose("down"),
            first_seen_ns=time.time_ns(),
        )
        told = _diagnose(pair, finding)
    finally:
        pair.west.host.nft()
        pair.east.host.nft()
    assert "bytes went into the tunnel meanwhile, none came back" in json.dumps(told)
    assert told["confidence"] > 0.6
