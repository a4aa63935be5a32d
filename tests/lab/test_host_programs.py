"""What ip and iptables really print, in a namespace of their own, is what our readers expect."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from netprobe.discovery.gateway import nftables, routes
from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.connection import CommandOutput
from netprobe.discovery.ssh.fallback_tools import read_tool
from netprobe.model.gateway import ChosenRoute, RuleCounter
from netprobe.model.outcome import Rejected
from tests.lab.namespaces import need_namespaces

pytestmark = [pytest.mark.lab, need_namespaces()]
KINDS = ("unreachable", "blackhole", "prohibit")
ROUTES = """
ip link set lo up
for kind in unreachable blackhole prohibit; do
  ip route add $kind 10.9.0.0/16; ip -j route get 10.9.0.9 || true; ip route del $kind 10.9.0.0/16
  ip -6 route add $kind fd00:9::/48; ip -j route get fd00:9::9 || true; ip -6 route del $kind fd00:9::/48
done
ip -j route get 10.9.0.9 || true
ip -j route get fd00:9::9 || true
"""
RULES = """
iptables-nft -A FORWARD -p tcp --dport 1 -j REJECT
iptables-nft -A FORWARD -m conntrack --ctstate INVALID -j DROP
iptables-nft -A FORWARD -m comment --comment hello -j DROP
iptables-nft -A FORWARD -p tcp --dport 5 -j DROP
iptables-nft -A FORWARD -m limit --limit 1/s -j LOG
nft -j list ruleset
"""


def run(script: str) -> subprocess.CompletedProcess[bytes]:
    """Run a script in a network without anything in it."""
    return subprocess.run(
        ["unshare", "-Urn", "env", "LC_ALL=C", "sh", "-euc", script],
        capture_output=True,
        check=True,
        timeout=60,
    )


def test_each_kind_of_route_that_refuses_is_told_from_a_missing_one() -> None:
    told = run(ROUTES).stderr.splitlines()
    found = [fact.refused for line in told for fact in routes.READER.read({"route!": line})
             if isinstance(fact, ChosenRoute)]  # fmt: skip
    assert found == [*(kind for kind in KINDS for _ in range(2)), "", ""]


@pytest.mark.skipif(shutil.which("iptables-nft") is None, reason="not installed: iptables")
def test_rules_that_iptables_made_are_read_as_far_as_nft_shows_them() -> None:
    found = [
        (fact.verdict, fact.unread)
        for fact in nftables.READER.read({"nftables": run(RULES).stdout})
        if isinstance(fact, RuleCounter)
    ]
    assert found == [("reject", ()), ("drop", ("conntrack",)), ("drop", ()), ("drop", ()), ("", ())]


PING = """
ip link set lo up; ip address add {address} dev lo
for wait in 1 2 3 4 5 6 7 8; do ip -6 address show dev lo tentative | grep -q inet6 || break; sleep 0.2; done
nft add table {family} f
nft 'add chain {family} f output {{ type filter hook output priority 0; }}'
nft add rule {family} f output {protocol} type echo-request reject with {protocol} type {kind}
ping -n -c 1 -W 1 {address} || true
"""


@pytest.mark.skipif(shutil.which("ping") is None, reason="not installed: iputils-ping")
@pytest.mark.parametrize(
    ("kind", "code"),
    [("net-unreachable", 0), ("host-unreachable", 1), ("prot-unreachable", 2), ("port-unreachable", 3),
     ("net-prohibited", 9), ("host-prohibited", 10), ("admin-prohibited", 13)],
)  # fmt: skip
def test_a_reject_reaches_us_through_ping_with_its_own_code(kind: str, code: int) -> None:
    assert ping("ip", "icmp", "10.9.0.1", kind) == Rejected("10.9.0.1", 3, code)


@pytest.mark.skipif(shutil.which("ping") is None, reason="not installed: iputils-ping")
@pytest.mark.parametrize(
    ("kind", "code"),
    [("no-route", 0), ("admin-prohibited", 1), ("addr-unreachable", 3), ("port-unreachable", 4)],
)
def test_a_reject_over_ipv6_reaches_us_through_ping_with_its_own_code(kind: str, code: int) -> None:
    assert ping("ip6", "icmpv6", "fd00:9::1", kind) == Rejected("fd00:9::1", 1, code)


def ping(family: str, protocol: str, address: str, kind: str) -> object:
    script = PING.format(family=family, protocol=protocol, address=address, kind=kind)
    answer = CommandOutput(Command("ping"), run(script).stdout, "", 1)
    return read_tool("icmp", answer, target=address, took_ns=1).outcome
