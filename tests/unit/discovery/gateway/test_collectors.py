"""Collectors: what real programs print is read; whatever else comes, only our own error escapes."""

from __future__ import annotations

import json
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.discovery.gateway import conntrack, ipsec, links, nftables, openvpn, routes, wireguard
from netprobe.discovery.gateway.interface import AddressPair, GatewayReader
from netprobe.discovery.gateway.readings import gather_evidence
from netprobe.discovery.gateway.registry import READERS
from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.connection import CommandOutput
from netprobe.discovery.ssh.errors import HostOutputError, SshError
from netprobe.model.gateway import (
    ChosenRoute,
    ConnectionTable,
    LinkCounters,
    PolicyRules,
    ReversePath,
    RuleCounter,
    TunnelPeer,
)

SECRET = "6KpcbY8Za0sPJMbcMXF0bQ3gwoXnUEhW3JZ0PRIVATE="
PEER = "wg0\tPUB=\t" + SECRET + "\t203.0.113.1:51820\t10.2.0.0/16,fd00:2::/48\t{at}\t100\t200\t5\n"
INTERFACE = f"wg0\t{SECRET}\tPUB=\t51820\toff\n"
NFT = {
    "nftables": [
        {"metainfo": {"version": "1.0.6"}},
        {"rule": {"family": "inet", "table": "f", "chain": "forward", "handle": 4, "comment": "x\u001b[31m",
                  "expr": [{"match": {}}, {"counter": {"packets": 20, "bytes": 1680}}, {"drop": None}]}},
        {"rule": {"family": "inet", "table": "f", "chain": "input", "handle": 5, "expr": [{"drop": None}]}},
    ]
}  # fmt: skip
SA = (
    "list-sa event {gw-gw {uniqueid=1 version=2 state=ESTABLISHED local-host=203.0.113.1 "
    "remote-host=203.0.113.2 established=812 child-sas {net-1 {name=net state=INSTALLED bytes-in=840 "
    "bytes-out=1680 local-ts=[10.1.0.0/16] remote-ts=[10.2.0.0/16 fd00:2::/48]}}}}\n"
)
XFRM = """\
src 203.0.113.1 dst 203.0.113.2
\tproto esp spi 0x1(1) reqid 1(0x1) mode tunnel
\tlifetime config:
\t  limit: soft (INF)(bytes), hard (INF)(bytes)
\tlifetime current:
\t  840(bytes), 10(packets)
"""
STATUS = (
    "TITLE,OpenVPN 2.6\nTIME,2026-11-25 12:00:00,1000\n"
    "CLIENT_LIST,site-b,203.0.113.2:1194,10.8.0.2,,840,1680,2026-11-25 11:00:00,900,UNDEF,0,0,AES-256-GCM\n"
)


def test_wireguard_tells_the_handshakes_age_by_the_hosts_own_clock_and_no_key() -> None:
    printed = {"clock": b"1840\n", "wireguard": (INTERFACE + PEER.format(at=1000)).encode()}
    (peer,) = wireguard.READER.read(printed)
    assert peer == TunnelPeer(
        "wireguard", "wg0", "203.0.113.1", ("10.2.0.0/16", "fd00:2::/48"), 840, 100, 200
    )


def test_a_handshake_that_never_was_is_none_and_not_zero() -> None:
    (peer,) = wireguard.READER.read({"clock": b"9", "wireguard": PEER.format(at=0).encode()})
    assert isinstance(peer, TunnelPeer)
    assert peer.heard_s is None


@pytest.mark.parametrize("at", ["x", "-1", "1_0", "١", "9" * 30])
def test_no_error_ever_quotes_a_key(at: str) -> None:
    with pytest.raises(HostOutputError) as caught:
        wireguard.READER.read({"clock": b"9", "wireguard": (INTERFACE + PEER.format(at=at)).encode()})
    assert SECRET not in str(caught.value)
    with pytest.raises(HostOutputError) as caught:
        wireguard.READER.read({"clock": b"9", "wireguard": f"{INTERFACE.strip()}\tmore\t\n".encode()})
    assert SECRET not in str(caught.value)


def test_routes_rules_and_reverse_paths() -> None:
    printed = {
        "route": b'[{"dst":"10.2.0.9","dev":"wg0","prefsrc":"10.1.0.1","flags":[],"uid":0}]',
        "rules": b'[{"priority":0},{"priority":100},{"priority":32766},{"priority":32767}]',
        "rp-filter": b"net.ipv4.conf.all.rp_filter = 1\nnet.ipv4.conf.default.rp_filter = 0\n"
        b"net.ipv4.conf.wg0.rp_filter = 0\nnet.ipv4.conf.eth0/100.rp_filter = 2\n",
    }
    assert routes.READER.read(printed) == (
        ChosenRoute("10.2.0.9", "wg0"),
        PolicyRules(1),
        ReversePath("eth0.100", 2),
        ReversePath("wg0", 1),
    )


@pytest.mark.parametrize(
    ("complaint", "refused"),
    [
        (b"RTNETLINK answers: No route to host", "unreachable"),
        (b"RTNETLINK answers: Host is unreachable", "unreachable"),
        (b"RTNETLINK answers: Invalid argument", "blackhole"),
        (b"RTNETLINK answers: Permission denied", "prohibit"),
        (b"RTNETLINK answers: Network is unreachable", ""),
    ],
)
def test_each_kind_of_route_that_refuses_has_an_error_of_its_own(complaint: bytes, refused: str) -> None:
    """As iproute2 6.1 prints them, with the words of glibc and of musl."""
    assert routes.READER.read({"route!": complaint}) == (ChosenRoute("", "", refused=refused),)


@pytest.mark.parametrize(
    "complaint",
    [b"env: 'ip': Permission denied", b"gw: Network is unreachable", b"RTNETLINK answers: File exists"],
)
def test_an_error_about_something_else_says_nothing_about_a_route(complaint: bytes) -> None:
    assert routes.READER.read({"route!": complaint}) == ()


@pytest.mark.parametrize("kind", ["local", "broadcast", "multicast", "anycast"])
def test_a_route_to_many_or_to_the_host_itself_does_not_refuse(kind: str) -> None:
    printed = json.dumps([{"type": kind, "dst": "10.2.0.9", "dev": "lo"}]).encode()
    assert routes.READER.read({"route": printed}) == (ChosenRoute("10.2.0.9", "lo"),)


def test_a_route_is_asked_for_only_about_a_pair() -> None:
    assert Command("route", ip_address("10.2.0.9")) in routes.READER.commands(
        AddressPair(ip_address("10.2.0.9"))
    )
    assert "route" not in {command.name for command in routes.READER.commands(AddressPair())}


def test_interfaces() -> None:
    ways = {
        "rx": {"packets": 5, "dropped": 1, "errors": 2},
        "tx": {"packets": 6, "dropped": 3, "errors": 4},
    }
    link = {"ifname": "wg0", "mtu": 1420, "flags": ["UP"], "stats64": ways}
    told = links.READER.read({"links": json.dumps([link]).encode()})
    assert told == (LinkCounters("wg0", True, 1420, 5, 6, 1, 3, 6),)


def test_the_connection_tables_failures_are_summed_over_processors() -> None:
    printed = {
        "conntrack": b"net.netfilter.nf_conntrack_count = 7\nnet.netfilter.nf_conntrack_max = 8\n",
        "conntrack-stat": b"entries insert_failed drop\n00000007 0000000a 00000001\n7 00000006 00000000\n",
    }
    assert conntrack.READER.read(printed) == (ConnectionTable(7, 8, 16, 1),)
    del printed["conntrack-stat"]
    assert conntrack.READER.read(printed) == (ConnectionTable(7, 8, None, None),)


def test_rules_that_count_are_told_and_nothing_a_terminal_obeys() -> None:
    told = nftables.READER.read({"nftables": json.dumps(NFT).encode()})
    assert told == (RuleCounter("inet f forward", 4, "drop", 20, "x?[31m"),)


@pytest.mark.parametrize(
    ("right", "invalid_only"),
    [
        ("invalid", True),
        (["invalid"], True),
        (["established", "related"], False),
        ({"set": ["invalid", "new"]}, False),
    ],
)
def test_of_what_a_rule_matches_only_the_invalid_state_is_read(right: object, invalid_only: bool) -> None:
    """Matches as ``nft -j`` 1.0.6 writes them."""
    match = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": right}}
    expr = [match, {"counter": {"packets": 7, "bytes": 0}}, {"drop": None}]
    rule = {"family": "inet", "table": "f", "chain": "input", "handle": 4, "expr": expr}
    (told,) = nftables.READER.read({"nftables": json.dumps({"nftables": [{"rule": rule}]}).encode()})
    assert told == RuleCounter("inet f input", 4, "drop", 7, "", invalid_only)


def xt(kind: str, name: str) -> dict[str, object]:
    return {"xt": {"type": kind, "name": name}}


@pytest.mark.parametrize(
    ("extension", "verdict", "unread"),
    [
        pytest.param([xt("target", "REJECT")], "reject", (), id="-j REJECT"),
        pytest.param([xt("target", "LOG")], "", (), id="-j LOG"),
        pytest.param([xt("match", "conntrack"), {"drop": None}], "drop", ("conntrack",), id="ctstate"),
        pytest.param([xt("match", "comment"), {"drop": None}], "drop", (), id="comment"),
        pytest.param([{"xt": None}, {"drop": None}], "drop", (), id="nothing"),
    ],
)
def test_rules_of_iptables_are_read_as_far_as_nft_shows_them(
    extension: list[dict[str, object]], verdict: str, unread: tuple[str, ...]
) -> None:
    """As nft 1.0.6 shows what iptables 1.8.9 made."""
    counter = {"counter": {"packets": 3, "bytes": 0}}
    rule = {"family": "ip", "table": "filter", "chain": "FORWARD", "handle": 4, "expr": [counter, *extension]}
    (told,) = nftables.READER.read({"nftables": json.dumps({"nftables": [{"rule": rule}]}).encode()})
    assert told == RuleCounter("ip filter FORWARD", 4, verdict, 3, unread=unread)


def test_ipsec_by_strongswan_and_by_the_kernel() -> None:
    ranges = ("10.2.0.0/16", "fd00:2::/48")
    assert ipsec.READER.read({"ipsec": SA.encode()}) == (
        TunnelPeer("ipsec", "gw-gw", "203.0.113.2", ranges, 812, 840, 1680),
    )
    connecting = SA.replace("state=ESTABLISHED", "state=CONNECTING")
    (peer,) = ipsec.READER.read({"ipsec": connecting.encode()})
    assert isinstance(peer, TunnelPeer)
    assert peer.heard_s is None
    assert ipsec.READER.read({"xfrm": XFRM.encode()}) == (
        TunnelPeer("ipsec", "xfrm", "203.0.113.2", (), None, None, 840),
    )


def test_openvpn_clients() -> None:
    for text in (STATUS, STATUS.replace(",", "\t")):
        assert openvpn.READER.read({"openvpn": text.encode(), "clock": b"1030"}) == (
            TunnelPeer("openvpn", "site-b", "203.0.113.2", ("10.8.0.2/32",), 30, 840, 1680),
        )


@pytest.mark.parametrize(
    ("written", "endpoint"),
    [
        ("203.0.113.2:1194", "203.0.113.2"),
        ("udp4:203.0.113.2:1194", "203.0.113.2"),
        ("tcp4-server:203.0.113.2:40112", "203.0.113.2"),
        ("udp6:[2001:db8::2]:1194", "2001:db8::2"),
        ("udp6:2001:db8::2", "2001:db8::2"),
        ("2001:db8::2", "2001:db8::2"),
        ("sctp:203.0.113.2:1194", ""),
    ],
)
def test_an_openvpn_address_is_read_with_and_without_its_protocol(written: str, endpoint: str) -> None:
    """2.7.1 writes the protocol first, 2.6 does not; 2.6 writes no port behind an IPv6 address."""
    (peer,) = openvpn.READER.read({"openvpn": STATUS.replace("203.0.113.2:1194", written).encode()})
    assert isinstance(peer, TunnelPeer)
    assert peer.endpoint == endpoint


STATUS_1 = """OpenVPN CLIENT LIST
Updated,2026-11-25 12:00:00
Common Name,Real Address,Bytes Received,Bytes Sent,Connected Since
site-b,203.0.113.2:1194,840,1680,2026-11-25 11:00:00
site-c,udp4:203.0.113.3:40112,1,2,2026-11-25 11:30:00
ROUTING TABLE
Virtual Address,Common Name,Real Address,Last Ref
10.8.0.2,site-b,203.0.113.2:1194,2026-11-25 12:00:00
10.2.0.0/16,site-b,203.0.113.2:1194,2026-11-25 12:00:00
10.2.0.9C,site-b,203.0.113.2:1194,2026-11-25 12:00:00
GLOBAL STATS
Max bcast/mcast queue length,0
END
"""


def test_openvpns_status_of_version_1_tells_its_clients_and_their_ranges() -> None:
    ranges = ("10.8.0.2/32", "10.2.0.0/16")  # the learned address is inside the second
    assert openvpn.READER.read({"openvpn": STATUS_1.encode(), "clock": b"1030"}) == (
        TunnelPeer("openvpn", "site-b", "203.0.113.2", ranges, None, 840, 1680),
        TunnelPeer("openvpn", "site-c", "203.0.113.3", (), None, 1, 2),
    )


def test_openvpns_routes_are_ranges_in_later_versions_too() -> None:
    route = "ROUTING_TABLE,10.2.0.0/16,site-b,203.0.113.2:1194,2026-11-25 12:00:00,1000\n"
    (peer,) = openvpn.READER.read({"openvpn": (STATUS + route).encode()})
    assert isinstance(peer, TunnelPeer)
    assert peer.ranges == ("10.8.0.2/32", "10.2.0.0/16")


@pytest.mark.parametrize(
    ("inner", "carried"),
    [pytest.param((7, 5), (5, 7), id="in-the-program"), pytest.param((0, 0), (900, 800), id="in-the-kernel")],
)
def test_an_openvpn_client_whose_packets_stay_in_the_kernel_tells_the_outer_bytes(
    inner: tuple[int, int], carried: tuple[int, int]
) -> None:
    told = "OpenVPN STATISTICS\nUpdated,2026-11-25 12:00:00\nTUN/TAP read bytes,{}\nTUN/TAP write bytes,{}\n"
    told += "TCP/UDP read bytes,900\nTCP/UDP write bytes,800\nAuth read bytes,0\nEND\n"
    (peer,) = openvpn.READER.read({"openvpn": told.format(*inner).encode()})
    assert peer == TunnelPeer("openvpn", "", "", (), None, *carried)


SAMPLES = {
    "clock": b"1840", "wireguard": (INTERFACE + PEER.format(at=1000)).encode(), "ipsec": SA.encode(),
    "xfrm": XFRM.encode(), "openvpn": STATUS.encode(), "nftables": json.dumps(NFT).encode(),
    "links": b'[{"ifname":"a","mtu":1}]', "route": b'[{"dst":"1.1.1.1"}]', "rules": b'[{"priority":1}]',
    "rp-filter": b"net.ipv4.conf.all.rp_filter = 1", "conntrack-stat": b"a b\n01 02",
    "conntrack": b"net.netfilter.nf_conntrack_count = 7\nnet.netfilter.nf_conntrack_max = 8\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", READERS, ids=lambda kind: kind.name)
@given(data=st.data())
def test_hostile_output_is_facts_or_our_error(kind: GatewayReader, data: st.DataObject) -> None:
    printed = {}
    for command in kind.commands(AddressPair(ip_address("10.0.0.1"))):
        good = SAMPLES[command.name]
        cut, end = data.draw(st.integers(0, len(good))), data.draw(st.integers(0, len(good)))
        noise = data.draw(st.one_of(st.binary(max_size=40), st.text(max_size=20).map(str.encode)))
        printed[command.name] = data.draw(st.sampled_from((good[:cut] + noise + good[end:], noise, good)))
    try:
        told = kind.read(printed)
    except HostOutputError as error:
        assert len(str(error)) < 300
        return
    assert all(str(fact).isprintable() for fact in told)


class FakeHost:
    """Prints what it is given; hangs up on what it does not know."""

    async def run(self, command: Command, /) -> CommandOutput:
        if command.name == "conntrack":
            raise SshError("gw: hung up")
        if command.name in ("ipsec", "xfrm", "openvpn"):
            return CommandOutput(command, b"", f"{command.name}: not found", 127)
        return CommandOutput(
            command, b"nonsense" if command.name == "nftables" else SAMPLES[command.name], "", 0
        )


async def test_what_one_collector_cannot_say_takes_nothing_from_the_others() -> None:
    reading = await gather_evidence(
        FakeHost(), node="a/gw", taken_ns=7, pair=AddressPair(ip_address("10.0.0.1"))
    )
    assert {type(fact).__name__ for fact in reading.facts} == {
        "TunnelPeer", "ChosenRoute", "PolicyRules", "LinkCounters"
    }  # fmt: skip
    assert [line.split(": ")[0] for line in reading.silent] == ["ipsec", "openvpn", "conntrack", "nftables"]
    assert "gw: hung up" in reading.silent[2]
    assert "not found" in reading.silent[0]
