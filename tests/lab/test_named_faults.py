"""Faults of other projects' reports, made by hand: each is named right on real packets, and nothing else is.

The kinds: the way below a tunnel, forwarding on a node, a loop, names lost in part, one class of traffic, a
filter that says who it is, and an agent whose reports are lost.
"""

from __future__ import annotations

import pytest

from netprobe.lab.fault_script import write_chain
from netprobe.model.component import node_in, node_out, pod_in, service_proxy_for_dns, tunnel
from netprobe.model.finding import Cause
from netprobe.model.names import ClusterName, NodeId
from tests.lab.conftest import FullLab
from tests.lab.hand_made_faults import broken, conditions

pytestmark = [
    pytest.mark.quiet,
    pytest.mark.slow,  # ten seconds and more for each
]

PROD, STAGING = ClusterName("prod-us-west-1"), ClusterName("staging-eu-central-1")
GATEWAY, WORKER, OTHER = (NodeId.parse(f"{PROD}/{name}") for name in ("gw", "w1", "w2"))
FAR, FAR_GATEWAY = NodeId.parse(f"{STAGING}/w1"), NodeId.parse(f"{STAGING}/gw")
THERE, BACK = tunnel(PROD, STAGING), tunnel(STAGING, PROD)


def test_a_route_of_the_outer_address_into_the_tunnel_is_below_the_tunnel(healthy_lab: FullLab) -> None:
    begin, end = write_chain("postrouting", "oifname wan0 ip daddr 100.64.0.17 drop", priority="200")
    route = "100.64.0.17/32 dev link0a"
    with broken(
        healthy_lab, str(GATEWAY), f"ip route add {route}; {begin}", f"{end}; ip route del {route}"
    ) as finding:
        assert (finding.cause, finding.components) == (Cause.TUNNEL_DOWN, (THERE,))
        assert "below the tunnel" in str(finding.summary)


def test_a_node_that_drops_what_it_forwards_is_named_and_its_pods_are_not(healthy_lab: FullLab) -> None:
    begin, end = write_chain("forward", "iifname { eth0, pod0, overlay0 } drop")
    with broken(healthy_lab, str(OTHER), begin, end) as finding:
        assert set(finding.components) == {node_in(OTHER), node_out(OTHER)}
        assert "does not forward packets to and from its pods" in str(finding.summary)
        assert "ip_forward" in str(finding.next_step)


def test_a_loop_between_two_hosts_names_both(healthy_lab: FullLab) -> None:
    begin = "ip route add 10.112.1.10/32 via 10.12.0.11 dev eth0 table 52; ip rule add pref 5 lookup 52"
    end = "ip rule del pref 5; ip route flush table 52"
    with broken(healthy_lab, str(FAR), begin, end) as finding:
        assert finding.cause is Cause.ROUTING_LOOP
        assert pod_in(FAR) in finding.components
        assert f"{FAR} (" in str(finding.summary)
        assert f"{FAR_GATEWAY} (" in str(finding.summary)


def test_names_that_one_node_loses_in_part_are_its_proxys_loss(healthy_lab: FullLab) -> None:
    rule = "ip daddr 10.211.0.10 udp dport 53 numgen random mod 100 < 25 drop"
    begin, end = write_chain("prerouting", rule, priority="-150")
    also, _ = write_chain("output", rule, priority="-150")
    with broken(healthy_lab, str(OTHER), f"{begin}; {also.replace(' c ', ' d ')}", end) as finding:
        assert (finding.cause, finding.components) == (Cause.SERVICE_LOSSY, (service_proxy_for_dns(OTHER),))


def test_a_node_without_neighbours_of_one_family_loses_that_family(healthy_lab: FullLab) -> None:
    begin, end = write_chain("input", "iifname eth0 drop", priority="0", family="arp")
    with broken(healthy_lab, str(OTHER), f"{begin}; ip neigh flush dev eth0", end) as finding:
        # What others know of the node lasts for a while, so that its way out may be all that is lost.
        assert set(finding.components) <= {node_in(OTHER), node_out(OTHER)}
        assert conditions(finding) == {"family=IPv4"}


def test_pings_that_a_gateway_does_not_forward_are_no_rate_of_loss(healthy_lab: FullLab) -> None:
    begin, end = write_chain("forward", "oifname link0a meta l4proto { icmp, ipv6-icmp } drop")
    with broken(healthy_lab, str(GATEWAY), begin, end) as finding:
        assert finding.cause is Cause.SELECTIVE_DROP
        assert {THERE, BACK} & {*finding.components, *finding.indistinguishable}
        assert "protocol=icmp" in conditions(finding)


def test_large_packets_that_are_lost_in_part_are_told_from_others(healthy_lab: FullLab) -> None:
    begin, end = write_chain("forward", "oifname link0a meta length > 1000 numgen random mod 100 < 40 drop")
    with broken(healthy_lab, str(GATEWAY), begin, end) as finding:
        assert finding.cause is Cause.PART_LOSSY
        assert THERE in {*finding.components, *finding.indistinguishable}
        assert conditions(finding) == {"size=large"}


def test_a_filter_that_rejects_for_one_destination_is_named_with_its_host(healthy_lab: FullLab) -> None:
    rule = "oifname link0a ip daddr 10.112.1.10 reject with icmp type admin-prohibited"
    begin, end = write_chain("forward", rule)
    with broken(healthy_lab, str(GATEWAY), begin, end) as finding:
        assert finding.cause is Cause.POLICY_REJECT
        assert f"{GATEWAY} (" in str(finding.summary)


def test_an_agent_that_answers_and_whose_reports_are_lost_is_cut_off(healthy_lab: FullLab) -> None:
    begin, end = write_chain("prerouting", "iifname pod0 tcp dport { 4222, 4223 } drop", priority="-150")
    with broken(healthy_lab, str(WORKER), begin, end) as finding:
        assert finding.cause is Cause.AGENT_CUT_OFF
        assert finding.components[0].agent is not None
        assert finding.components[0].agent.node_id == WORKER


def test_a_pod_that_gets_each_packet_twice_is_named_and_loses_nothing(healthy_lab: FullLab) -> None:
    rule = "meta protocol { ip, ip6 } dup to pod0"
    begin, end = write_chain("egress device pod0", rule, priority="0", family="netdev")
    with broken(healthy_lab, str(WORKER), begin, end) as finding:
        assert (finding.cause, finding.components) == (Cause.DUPLICATED, (pod_in(WORKER),))
