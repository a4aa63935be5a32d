"""What programs of this machine really print is what our readers expect: ip and iptables in a namespace of their own."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from netprobe.discovery.gateway import nftables, routes
from netprobe.model.gateway import ChosenRoute, RuleCounter
from tests.lab.namespaces import need_namespaces

pytestmark = [pytest.mark.lab, need_namespaces()]
ROUTES = """
ip link set lo up
for family in "-4 10" "-6 fd00"; do
  set -- $family
  for kind in unreachable blackhole prohibit; do
    if [ $1 = -4 ]; then net=10.$((++n)).0.0/16; at=10.$n.0.9; else net=fd00:$((++n))::/48; at=fd00:$n::9; fi
    ip $1 route add $kind $net
    ip -j route get $at || true
  done
done
ip -j route get 10.99.0.9 || true
ip -j route get fd00:99::9 || true
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
    told = run("n=0\n" + ROUTES).stderr.splitlines()
    found = [fact.refused for line in told for fact in routes.READER.read({"route!": line})
             if isinstance(fact, ChosenRoute)]  # fmt: skip
    assert found == [*["unreachable", "blackhole", "prohibit"] * 2, "", ""]


@pytest.mark.skipif(shutil.which("iptables-nft") is None, reason="not installed: iptables")
def test_rules_that_iptables_made_are_read_as_far_as_nft_shows_them() -> None:
    found = [
        (fact.verdict, fact.unread)
        for fact in nftables.READER.read({"nftables": run(RULES).stdout})
        if isinstance(fact, RuleCounter)
    ]
    assert found == [("reject", ()), ("drop", ("conntrack",)), ("drop", ()), ("drop", ()), ("", ())]
