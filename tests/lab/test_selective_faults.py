"""Faults that choose by the class of traffic, made by hand in a full lab: real packets, one right finding."""

from __future__ import annotations

import pytest

from netprobe.model.component import Component, node_in, tunnel
from netprobe.model.finding import Cause, Finding
from netprobe.model.names import ClusterName, NodeId
from tests.lab.conftest import FullLab
from tests.lab.hand_made_faults import broken, conditions

pytestmark = [pytest.mark.quiet, pytest.mark.slow]  # half a minute for one of them

PROD, STAGING = ClusterName("prod-us-west-1"), ClusterName("staging-eu-central-1")
WORKER = NodeId.parse(f"{STAGING}/w1")
THERE, BACK = tunnel(PROD, STAGING), tunnel(STAGING, PROD)
NO_SOLICITATION = (
    "add table inet sel; "
    "add chain inet sel c { type filter hook prerouting priority raw; policy accept; }; "
    "add rule inet sel c iifname eth0 icmpv6 type nd-neighbor-solicit drop"
)
FEW_PORTS = (
    "add table inet sel; "
    "add chain inet sel c { type nat hook postrouting priority 90; policy accept; }; "
    "add rule inet sel c oifname link0a ip protocol tcp masquerade to :40000-40003"
)
UNDO = "nft delete table inet sel"


def test_a_node_that_answers_no_neighbour_solicitation_loses_ipv6_only(healthy_lab: FullLab) -> None:
    forget = (
        (f"{STAGING}/gw", "ip -6 neigh flush dev eth0"),
        (f"{STAGING}/edge", "ip -6 neigh flush dev br0"),
    )
    with broken(healthy_lab, str(WORKER), f"nft '{NO_SOLICITATION}'", UNDO, then=forget) as finding:
        assert (finding.cause, finding.components) == (Cause.SELECTIVE_DROP, (node_in(WORKER),))
        assert conditions(finding) == {"family=IPv6"}


def test_ports_of_a_translation_that_run_out_lose_tcp_only(healthy_lab: FullLab) -> None:
    with broken(healthy_lab, f"{PROD}/gw", f"nft '{FEW_PORTS}'", UNDO) as finding:
        assert finding.cause is Cause.SELECTIVE_DROP
        assert {THERE, BACK} & _suspected(finding)
        assert "protocol=tcp" in conditions(finding)
        assert finding.loss is None


def test_allowed_addresses_without_the_pods_lose_what_pods_send(healthy_lab: FullLab) -> None:
    gateway = f"{STAGING}/gw"
    _, before = healthy_lab.client.run(gateway, "wg", "show", "link0b", "allowed-ips")
    peer, *ranges = before.split()
    steal = "wg set link0b peer $(wg genkey | wg pubkey) allowed-ips 10.111.0.0/16"
    mend = f"wg set link0b peer {peer} allowed-ips {','.join(ranges)}"
    with broken(healthy_lab, gateway, steal, mend) as finding:
        assert finding.cause is Cause.SELECTIVE_DROP
        assert {THERE, BACK} & _suspected(finding)
        assert "source plane=pod" in conditions(finding)


def _suspected(finding: Finding) -> set[Component]:
    return {*finding.components, *finding.indistinguishable}
