"""Real strongSwan and OpenVPN between two gateways, read over a real sshd by their collectors."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from netprobe.analysis.gateway_evidence.statements import GatewayReadings
from netprobe.analysis.gateway_evidence.weighting import weigh_finding
from netprobe.discovery.inventory.file import dump_inventory
from netprobe.model import component as parts
from netprobe.model.finding import Cause, Finding
from netprobe.model.gateway import Reading, TunnelPeer
from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole
from netprobe.model.names import ClusterName, NodeName
from netprobe.model.prose import Prose
from netprobe.model.ssh import SshAccess
from tests.lab.namespaces import Host, Namespaces
from tests.lab.sshd import Keys, Server, need_sshd
from tests.patience import wait_until

CHARON = "/usr/lib/ipsec/charon"
WEST, EAST, GW = ClusterName("west"), ClusterName("east"), NodeName("gw")
OUTER = {"west": "10.3.0.1", "east": "10.3.0.2"}
INNER = {"west": "10.201.0.1", "east": "10.202.0.1"}
RANGE = {"west": "10.201.0.0/16", "east": "10.202.0.0/16"}
PSK = "thisPreSharedKeyWasMadeForThisRunOnly"


def why_not(*programs: str) -> str:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    return "" if os.access("/dev/net/tun", os.R_OK | os.W_OK) else "/dev/net/tun may not be opened"


GCM = Path("/usr/lib/ipsec/plugins/libstrongswan-gcm.so")
"""Of libstrongswan-standard-plugins; without it no cipher is left that ESP in user space takes."""
NO_IPSEC = why_not(CHARON, "swanctl") or ("" if GCM.exists() else f"not installed: {GCM}")
NO_OPENVPN = why_not("openvpn", "openssl")
pytestmark = [
    pytest.mark.slow,  # daemons start, and report what changed only after many seconds
    *need_sshd(),
    pytest.mark.timeout(900),
]

STRONGSWAN = """\
charon {
  load = random nonce aes sha1 sha2 hmac gmp kdf gcm openssl kernel-libipsec kernel-netlink \
    socket-default vici
  plugins { kernel-libipsec { allow_peer_ts = yes } }
}
"""
"""kernel-libipsec does ESP in user space, in UDP, over a tun interface; the kernel needs none."""

IPSEC = """\
ip addr add {inner}/32 dev lo
cp {folder}/strongswan.conf /run/strongswan.conf
export STRONGSWAN_CONF=/run/strongswan.conf
{charon} >{folder}/charon-{name}.log 2>&1 </dev/null &
for _ in $(seq 150); do [ -S /run/charon.vici ] && break; sleep 0.2; done
swanctl --load-all --file {folder}/swanctl-{name}.conf >/dev/null
"""
SWANCTL = """\
connections {{ {far} {{
  local_addrs = {outer}
  remote_addrs = {far_outer}
  encap = yes
  version = 2
  local {{
    auth = psk
    id = {name}
  }}
  remote {{
    auth = psk
    id = {far}
  }}
  children {{ net {{
    local_ts = {range}
    remote_ts = {far_range}
    start_action = {start}
  }} }}
}} }}
secrets {{ ike-one {{ secret = "{psk}"
}} }}
"""
OPENVPN = """\
ip addr add {inner}/32 dev lo
mkdir -p /run/openvpn
openvpn --config {folder}/{name}.ovpn --status /run/openvpn/status.log 1 --status-version {version} \
  >{folder}/openvpn-{name}.log 2>&1 </dev/null &
"""
COMMON_OVPN = """\
dev tun0
dev-type tun
proto udp
port 1194
cert {folder}/{name}.crt
key {folder}/{name}.key
peer-fingerprint {fingerprint}
keepalive 1 10
"""
SERVER_OVPN = """\
tls-server
dh none
mode server
topology subnet
push "topology subnet"
ifconfig 10.8.0.1 255.255.255.0
ifconfig-pool 10.8.0.2 10.8.0.9
route 10.202.0.0 255.255.0.0 10.8.0.2
client-config-dir {folder}/ccd
"""
CLIENT_OVPN = "client\nremote 10.3.0.1 1194\nnobind\nroute 10.201.0.0 255.255.0.0 10.8.0.1\n"


@dataclass
class Pair:
    """ops – west – east, with a tunnel of one kind between both gateways."""

    ops: Host
    servers: dict[str, Server]
    keys: Keys
    inventory: Inventory
    folder: Path

    def facts(self, site: str) -> list[dict[str, Any]]:
        path = self.folder / "inventory.yaml"
        path.write_text(dump_inventory(self.inventory))
        argv = ["-m", "netprobe", "sites", "status", site, "--inventory", str(path), "-o", "json"]
        whole = self.ops.command("env", "HOME=/nonexistent", sys.executable, *argv)
        told = subprocess.run(whole, capture_output=True, text=True, timeout=200, check=True).stdout
        self.printed = told
        return [fact for fact in json.loads(told)["hosts"][0]["facts"] if fact["kind"] == "TunnelPeer"]

    def peers(self, site: str) -> tuple[TunnelPeer, ...]:
        fields = ("mechanism", "interface", "endpoint", "heard_s", "received_bytes", "sent_bytes")
        return tuple(
            TunnelPeer(ranges=tuple(fact["ranges"]), **{name: fact[name] for name in fields})
            for fact in self.facts(site)
        )

    def ping(self) -> bool:
        argv = ["ping", "-q", "-c", "2", "-i", "0.2", "-W", "1", "-I", INNER["west"], INNER["east"]]
        done = subprocess.run(self.servers["west"].host.command(*argv), capture_output=True, check=False)
        return done.returncode == 0

    def wait_until_connected(self) -> None:
        try:
            wait_until("the tunnel carries a packet", self.ping, every_s=0.5)
        except AssertionError as error:
            logs = [path.read_text(errors="replace")[-1500:] for path in sorted(self.folder.glob("*.log"))]
            raise AssertionError("\n".join([str(error), *logs])) from None


def bring_up(folder: Path, kind: str) -> Iterator[Pair]:
    with Namespaces(all_users=True) as network:
        ops, west, east = (network.host(name) for name in ("ops", "west", "east"))
        network.link(ops, west, "10.1.0.0/24", "fd00:1::/64")
        network.link(west, east, "10.3.0.0/24", "fd00:3::/64")
        west.forward()
        ops.default_via(west)
        east.ip("route add 10.1.0.0/24 via 10.3.0.1\n")
        keys = Keys(folder)
        (folder / "strongswan.conf").write_text(STRONGSWAN)
        servers = {}
        for host in (west, east):
            begin = folder / f"begin-{host.name}"
            begin.write_text(
                _write_ipsec(folder, host.name) if kind == "ipsec" else _write_openvpn(folder, host.name)
            )
            servers[host.name] = Server(host, keys, before=f"sh -e {begin}")
        pair = Pair(ops, servers, keys, _inventory(servers, kind), folder)
        pair.wait_until_connected()
        yield pair
        for server in servers.values():
            server.stop()


def _far(name: str) -> str:
    return "east" if name == "west" else "west"


def _write_ipsec(folder: Path, name: str) -> str:
    far = _far(name)
    told = SWANCTL.format(
        name=name, far=far, outer=OUTER[name], far_outer=OUTER[far], range=RANGE[name],
        far_range=RANGE[far], psk=PSK, start="start" if name == "east" else "none",
    )  # fmt: skip
    (folder / f"swanctl-{name}.conf").write_text(told)
    return IPSEC.format(inner=INNER[name], folder=folder, name=name, charon=CHARON)


def _write_openvpn(folder: Path, name: str) -> str:
    for end in ("west", "east"):
        if not (folder / f"{end}.crt").exists():
            subject = ["-subj", f"/CN={end}", "-days", "2", "-keyout", str(folder / f"{end}.key")]
            make = [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ]
            subprocess.run(
                [*make, *subject, "-out", str(folder / f"{end}.crt")], check=True, capture_output=True
            )
    shown = ["openssl", "x509", "-fingerprint", "-sha256", "-noout", "-in", str(folder / f"{_far(name)}.crt")]
    fingerprint = subprocess.check_output(shown, text=True).strip().partition("=")[2]
    (folder / "ccd").mkdir(exist_ok=True)
    (folder / "ccd" / "east").write_text(
        "ifconfig-push 10.8.0.2 255.255.255.0\niroute 10.202.0.0 255.255.0.0\n"
    )
    role = SERVER_OVPN if name == "west" else CLIENT_OVPN
    told = COMMON_OVPN.format(folder=folder, name=name, fingerprint=fingerprint)
    (folder / f"{name}.ovpn").write_text(told + role.format(folder=folder))
    return OPENVPN.format(inner=INNER[name], folder=folder, name=name, version=2 if name == "west" else 1)


def _inventory(servers: dict[str, Server], kind: str) -> Inventory:
    def site(name: ClusterName, ssh: str) -> Cluster:
        access = SshAccess(servers[name].hop(ssh), agent=False)
        node = Node(GW, NodeRole.GATEWAY, outer_addresses=(OUTER[name],), ssh=access)
        return Cluster(name, (node,), pod_cidrs=(RANGE[name],), is_site=True)

    sites = (site(WEST, "10.1.0.2"), site(EAST, "10.3.0.2"))
    return Inventory(sites, (Link(WEST, EAST, LinkKind.TUNNEL, kind, GW, GW, mtu=1400),))


@pytest.fixture(scope="module")
def ipsec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    if NO_IPSEC:
        pytest.skip(NO_IPSEC)
    yield from bring_up(tmp_path_factory.mktemp("ipsec"), "ipsec")


@pytest.fixture(scope="module")
def openvpn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    if NO_OPENVPN:
        pytest.skip(NO_OPENVPN)
    yield from bring_up(tmp_path_factory.mktemp("openvpn"), "openvpn")


def test_strongswan_tells_its_association_with_ranges_age_and_bytes_that_move(ipsec: Pair) -> None:
    (before,) = ipsec.peers("west")
    assert (before.mechanism, before.interface, before.endpoint) == ("ipsec", "east", OUTER["east"])
    assert before.ranges == (RANGE["east"],)
    assert before.heard_s is not None
    assert ipsec.ping()
    (after,) = ipsec.peers("west")
    assert (after.received_bytes or 0) > (before.received_bytes or 0) > 0
    assert (after.sent_bytes or 0) > (before.sent_bytes or 0) > 0


def test_an_established_association_that_swallows_packets_speaks_for_a_dead_tunnel(ipsec: Pair) -> None:
    east = ipsec.servers["east"].host
    east.nft("add rule inet test input udp dport 4500 drop")
    try:
        before = Reading("west/gw", time.time_ns(), ipsec.peers("west"))
        assert not ipsec.ping()
        after = Reading("west/gw", time.time_ns(), ipsec.peers("west"))
    finally:
        east.nft()
    finding = Finding("f", (parts.tunnel(WEST, EAST),), Cause.TUNNEL_DOWN, 0.6, Prose("down"))
    told = weigh_finding(finding, [GatewayReadings(after, before)], inventory=ipsec.inventory)
    assert "bytes went into the tunnel meanwhile, none came back" in str(told.evidence_for[0].text)
    assert told.confidence > 0.6


def test_a_pre_shared_key_is_never_shown(ipsec: Pair) -> None:
    ipsec.facts("west")
    logs = "".join(path.read_text(errors="replace") for path in ipsec.folder.glob("log-*"))
    assert PSK not in ipsec.printed + logs


def test_openvpns_server_tells_its_client_with_address_and_bytes_that_move(openvpn: Pair) -> None:
    before = _until_listed(openvpn)
    assert (before.mechanism, before.interface, before.endpoint) == ("openvpn", "east", OUTER["east"])
    assert before.ranges == ("10.8.0.2/32", "10.202.0.0/16")
    assert openvpn.ping()
    for _ in range(60):  # it writes its status every second
        if ((_until_listed(openvpn)).received_bytes or 0) > (before.received_bytes or 0):
            return
        time.sleep(0.5)
    raise AssertionError("the client's bytes never moved")


def _until_listed(pair: Pair) -> TunnelPeer:
    for _ in range(60):
        peers = pair.peers("west")
        if peers:
            return peers[0]
        time.sleep(0.5)
    raise AssertionError("the server never listed its client")


def test_openvpns_client_tells_its_bytes(openvpn: Pair) -> None:
    (peer,) = openvpn.peers("east")
    assert peer.mechanism == "openvpn"
    assert (peer.received_bytes or 0) > 0
    assert (peer.sent_bytes or 0) > 0
