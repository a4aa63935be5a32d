"""The decision table: what a symptom means, as data. A row is added by adding a row.

A symptom says which kind of part is suspected, for which packets, in which directions and what was answered.
Rows are read from the top; the first that fits names the cause. Confidences are priors. docs/diagnosis.md
shows the table; a test compares the two.
"""

from __future__ import annotations

from typing import TypeVar

from netprobe.analysis.diagnosis.decision_table_agents import AGENT_ROWS
from netprobe.analysis.diagnosis.decision_table_links import LINK_ROWS
from netprobe.analysis.diagnosis.decision_table_selective import SELECTIVE_ROWS
from netprobe.analysis.diagnosis.decision_table_services import SERVICE_ROWS
from netprobe.analysis.diagnosis.symptom import (
    Answer,
    Directions,
    Note,
    PartKind,
    Symptom,
    TablePart,
    TableRow,
    TrafficClass,
)
from netprobe.model.component import ComponentKind as Kind
from netprobe.model.finding import Cause
from netprobe.model.prose import Prose

E = TypeVar("E")


def _any_of(*members: E) -> frozenset[E]:
    return frozenset(members)


_PATH_PARTS: frozenset[PartKind] = frozenset(
    {
        Kind.TUNNEL,
        Kind.OVERLAY,
        Kind.UNDERLAY,
        TablePart.ROUTE,
        Kind.GATEWAY_IN,
        Kind.GATEWAY_OUT,
        Kind.NODE_IN,
        Kind.NODE_OUT,
        Kind.POD_IN,
        Kind.POD_OUT,
    }
)
"""Parts that packets cross on their way; a port and a service reject for reasons of their own."""

TABLE: tuple[TableRow, ...] = (
    TableRow(
        "agent-sick",
        Cause.AGENT_SICK,
        0.95,
        "The agent {where} sends no reports and does not answer, while its address answers pings: the "
        "agent is sick, not the network.",
        Prose("Check the agent's pod: log, restarts, resource limits."),
        parts=_any_of(Kind.AGENT),
    ),
    *AGENT_ROWS,
    TableRow(
        "routing-loop",
        Cause.ROUTING_LOOP,
        0.85,
        "Packets over {parts} go round in a loop until their TTL runs out{senders}.",
        Prose(
            "Compare `ip route get` for the address on the hosts that sent the errors, and on the next hop "
            "of each: run `netprobe check --probe trace` to see the loop hop by hop."
        ),
        parts=_PATH_PARTS | {Kind.FIREWALL_RULE},
        answers=_any_of(Answer.EXPIRED),
        ignores_selection=True,
    ),
    TableRow(
        "path-rejected",
        Cause.POLICY_REJECT,
        0.85,
        "On {parts}, packets are rejected{senders}: a firewall or policy forbids them.",
        Prose("Look for a reject rule or policy on the host that sends the errors (`nft list ruleset`)."),
        parts=_PATH_PARTS,
        answers=_any_of(Answer.PROHIBITED),
        ignores_selection=True,
    ),
    TableRow(
        "duplicated",
        Cause.DUPLICATED,
        0.85,
        "{parts} passes packets on more than once.",
        Prose(
            "Look for what copies packets there: a mirror or `dup` rule (`nft list ruleset`, `tc filter "
            "show`), a bond in broadcast mode, a loop of bridges, two hosts with one address."
        ),
        parts=_PATH_PARTS | {Kind.FIREWALL_RULE},
        answers=_any_of(Answer.REPEATED),
    ),
    *SELECTIVE_ROWS,
    TableRow(
        "gateway-node-down",
        Cause.GATEWAY_DOWN,
        0.95,
        "The gateway node {where} is down: nothing reaches it, and its cluster is cut off from all others.",
        Prose(
            "Check the node itself: power, hypervisor, network interfaces. If possible, move the gateway "
            "role to another node."
        ),
        parts=_any_of(TablePart.NODE),
        is_gateway=True,
    ),
    TableRow(
        "node-down",
        Cause.NODE_DOWN,
        0.95,
        "The node {where} is down: neither the host nor its pods answer, and none of its agents reports.",
        Prose("Check the node itself: power, hypervisor, network interfaces."),
        parts=_any_of(TablePart.NODE),
    ),
    TableRow(
        "gateway-uplink-down",
        Cause.GATEWAY_DOWN,
        0.85,
        "Nothing passes between the gateway {where} and other clusters, and its outer address answers no "
        "other gateway, though the node itself answers: its uplink is down.",
        Prose(
            "Check the gateway's interface towards the other gateways, its routes there, and that network."
        ),
        parts=_any_of(Kind.GATEWAY_OUT, Kind.GATEWAY_IN),
        note=Note.OUTER_SILENT,
    ),
    TableRow(
        "gateway-not-forwarding",
        Cause.GATEWAY_DOWN,
        0.8,
        "The gateway {where} forwards no packets, though the node itself answers.",
        Prose("Check IP forwarding, routes and firewall on the gateway node."),
        parts=_any_of(Kind.GATEWAY_OUT, Kind.GATEWAY_IN),
        answers=_any_of(Answer.SILENT, Answer.REFUSED, Answer.REJECTED),
    ),
    TableRow(
        "source-nat",
        Cause.SNAT,
        0.95,
        "{where} rewrites source addresses: {detail}. Destinations see another address than the pod's.",
        Prose("Exempt the other clusters' pod ranges from masquerading on that node."),
        parts=_any_of(Kind.GATEWAY_OUT, Kind.NODE_OUT),
        note=Note.SNAT,
    ),
    TableRow(
        "wrong-peer",
        Cause.WRONG_PEER,
        0.95,
        "A different host answers behind {where}: {detail}. Addresses overlap.",
        Prose("Compare pod ranges and routes of both clusters; check the gateway for address translation."),
        answers=_any_of(Answer.WRONG_PEER),
    ),
    TableRow(
        "service-stale-conntrack",
        Cause.SERVICE_PROXY_STALE,
        0.95,
        "UDP to a service fails on {where} from existing source ports only: a stale conntrack entry.",
        Prose("Run `conntrack -D -p udp` on that node."),
        parts=_any_of(Kind.SERVICE_PROXY),
        note=Note.SAME_PORT_ONLY,
    ),
    TableRow(
        "overlay-checksum-offload",
        Cause.OVERLAY_BLOCKED,
        0.9,
        "Connections over {parts} take about a minute: the overlay interface's checksum offload corrupts "
        "packets.",
        Prose("Run `ethtool -K <overlay interface> tx-checksum-ip-generic off` on both nodes."),
        parts=_any_of(Kind.OVERLAY),
        note=Note.SLOW_CONNECT,
    ),
    TableRow(
        "conntrack-full",
        Cause.CONNTRACK_FULL,
        0.9,
        "New flows from {where} fail to every target while established ones pass: its connection tracking "
        "table is full.",
        Prose("Check `dmesg | grep conntrack`; raise nf_conntrack_max, or find what opens so many flows."),
        parts=_any_of(Kind.NODE_OUT, TablePart.NODE),
        note=Note.NEW_FLOWS_ONLY,
    ),
    TableRow(
        "snat-port-collision",
        Cause.SNAT,
        0.8,
        "A few connections through {where} take one or three seconds: source ports collide in its address "
        "translation.",
        Prose("Use random-fully source ports in the masquerade rule."),
        parts=_any_of(Kind.GATEWAY_OUT),
        note=Note.PORT_RACE,
    ),
    TableRow(
        "idle-timeout",
        Cause.IDLE_TIMEOUT,
        0.95,
        "Flows over {parts} die after an idle period: a device on the path drops their state.",
        Prose("Send keep-alives more often than the timeout, or raise the timeout on that firewall."),
        note=Note.IDLE,
    ),
    TableRow(
        "tunnel-inbound-first",
        Cause.TUNNEL_DOWN,
        0.7,
        "{parts} passes packets only after the far end has sent some: the tunnel or an access list keeps "
        "state.",
        Prose("Set a persistent keep-alive on the tunnel; compare the access lists of both ends."),
        parts=_any_of(Kind.TUNNEL),
        note=Note.WOKEN,
    ),
    TableRow(
        "asymmetric-route",
        Cause.POLICY_DROP,
        0.75,
        "First packets reach {where} and are dropped as invalid: replies take a different route.",
        Prose("Check for asymmetric routes; compare `conntrack -L` on both ends."),
        parts=_any_of(Kind.FIREWALL_RULE),
        note=Note.INVALID,
    ),
    TableRow(
        "gateway-status-wrong",
        Cause.STATUS_CONTRADICTED,
        0.95,
        "A gateway reports {parts} as connected, but packets do not pass: its own status hides the fault, "
        "and monitoring based on it sees nothing.",
        Prose(
            "Trust the packets: check what lies behind the handshake, that is allowed ranges, routes and "
            "filters on both gateways."
        ),
        parts=_any_of(Kind.TUNNEL),
        note=Note.CALLED_CONNECTED,
    ),
    TableRow(
        "fabric-claims-up",
        Cause.STATUS_CONTRADICTED,
        0.95,
        "{detail} calls {parts} connected, but packets do not pass: monitoring based on that status sees "
        "nothing.",
        Prose(
            "Trust the packets: the fabric checks less than pods need. Look at what lies behind its own "
            "check: ranges, routes and filters on both gateways, and the nodes behind them."
        ),
        parts=_any_of(Kind.TUNNEL, Kind.OVERLAY, TablePart.ROUTE),
        note=Note.CLAIMED_UP,
    ),
    TableRow(
        "fabric-claims-down",
        Cause.STATUS_CONTRADICTED,
        0.85,
        "{detail} calls {parts} broken, but packets pass: names, fail-over and alerts that follow that "
        "status are misled.",
        Prose(
            "Look at the fabric's own check: its health-check address, a filter for its pings, and the log "
            "of the pod that writes the object."
        ),
        parts=_any_of(Kind.TUNNEL, Kind.OVERLAY, TablePart.ROUTE),
        note=Note.CLAIMED_DOWN,
    ),
    TableRow(
        "tunnel-mtu-one-way",
        Cause.TUNNEL_MTU,
        0.95,
        "Large packets from {here} to {there} are lost, small ones pass: an MTU black hole in that "
        "direction.",
        Prose("Compare the MTU of both tunnel ends and clamp the TCP MSS; allow ICMP fragmentation-needed."),
        parts=_any_of(Kind.TUNNEL),
        traffic=_any_of(TrafficClass.LARGE),
        directions=_any_of(Directions.ONE),
    ),
    TableRow(
        "tunnel-mtu",
        Cause.TUNNEL_MTU,
        0.95,
        "Large packets between {here} and {there} are lost in both directions, small ones pass: an MTU "
        "black hole.",
        Prose("Compare the MTU of both tunnel ends and clamp the TCP MSS; allow ICMP fragmentation-needed."),
        parts=_any_of(Kind.TUNNEL),
        traffic=_any_of(TrafficClass.LARGE),
    ),
    TableRow(
        "cluster-mtu",
        Cause.TUNNEL_MTU,
        0.8,
        "Large packets over {parts} are lost, small ones pass: an MTU black hole inside the cluster.",
        Prose("Compare the MTU of the pod interfaces with the node network's MTU minus the overlay header."),
        parts=_any_of(
            Kind.OVERLAY, Kind.POD_IN, Kind.POD_OUT, Kind.GATEWAY_IN, Kind.GATEWAY_OUT, TablePart.ROUTE
        ),
        traffic=_any_of(TrafficClass.LARGE),
    ),
    *LINK_ROWS,
    TableRow(
        "part-lossy",
        Cause.PART_LOSSY,
        0.75,
        "{parts} loses about {loss} of the packets.",
        Prose("Look at errors, queues and drops of the interfaces there (`ip -s link`, `tc -s qdisc`)."),
        parts=_PATH_PARTS,
        answers=_any_of(Answer.LOSSY),
    ),
    TableRow(
        "port-lossy",
        Cause.PART_LOSSY,
        0.75,
        "{port} on {where} loses about {loss} of its packets, while other protocols lose less.",
        Prose(
            "On that node, look for rules and limits of that port (`nft list ruleset`), and at drops of its "
            "sockets (`ss -uamn`, `nstat -az`)."
        ),
        parts=_any_of(Kind.FIREWALL_RULE),
        answers=_any_of(Answer.LOSSY),
    ),
    TableRow(
        "route-missing",
        Cause.ROUTE_MISSING,
        0.9,
        "{here} does not send packets for {remote} to its gateway, other nodes do: its route is missing.",
        Prose("Compare `ip route` on that node with a healthy neighbour's."),
        parts=_any_of(TablePart.ROUTE),
    ),
    TableRow(
        "overlay-down",
        Cause.OVERLAY_BLOCKED,
        0.9,
        "Pods of {here} and {there} cannot reach each other, the nodes themselves can: the overlay is "
        "blocked.",
        Prose("Check that the overlay's port (VXLAN: UDP 4789 or 8472) is allowed between the nodes."),
        parts=_any_of(Kind.OVERLAY),
        directions=_any_of(Directions.BOTH),
    ),
    TableRow(
        "overlay-one-way",
        Cause.OVERLAY_BLOCKED,
        0.85,
        "Pod traffic from {here} to {there} is lost, the other direction passes: the overlay is blocked "
        "one way.",
        Prose("Compare the overlay's entries (bridge fdb, routes, tunnel map) on both nodes."),
        parts=_any_of(Kind.OVERLAY),
        directions=_any_of(Directions.ONE),
    ),
    TableRow(
        "port-rejected",
        Cause.POLICY_REJECT,
        0.95,
        "{port} on {where} is rejected{detail}, while other protocols pass: a firewall or policy rejects it.",
        Prose("Look for a reject rule or NetworkPolicy on that node."),
        parts=_any_of(Kind.FIREWALL_RULE),
        answers=_any_of(Answer.REJECTED, Answer.PROHIBITED, Answer.REFUSED),
    ),
    TableRow(
        "port-dropped",
        Cause.POLICY_DROP,
        0.85,
        "{port} on {where} answers no source, while other protocols pass: a firewall or policy drops it.",
        Prose("Look for a drop rule, NetworkPolicy or security group on that node."),
        parts=_any_of(Kind.FIREWALL_RULE),
    ),
    *SERVICE_ROWS,
    TableRow(
        "node-unreachable",
        Cause.NODE_DOWN,
        0.8,
        "{where} can neither reach other nodes nor be reached, though its agents still report.",
        Prose("Check the node's interface towards the other nodes."),
        parts=_any_of(Kind.NODE_OUT, Kind.NODE_IN),
        directions=_any_of(Directions.BOTH),
    ),
    TableRow(
        "pod-path-broken",
        Cause.UNKNOWN,
        0.6,
        "The path between node and pods of {where} is broken: {parts}.",
        Prose("Check routes, reverse-path filter and CNI on that node."),
        parts=_any_of(Kind.POD_IN, Kind.POD_OUT),
    ),
    TableRow(
        "unexplained",
        Cause.UNEXPLAINED,
        0.3,
        "{detail} checks have failed for long, and no known fault explains them; most of them cross {parts}.",
        Prose("Run `netprobe why` for a pair that fails and for one that passes, and compare the rows."),
        note=Note.UNSAID,
    ),
    TableRow(
        "unknown",
        Cause.UNKNOWN,
        0.4,
        "{parts} loses packets; no known pattern fits.",
        Prose("Trace the path by hand."),
    ),
)


def read_table(symptom: Symptom) -> TableRow:
    """The first row that fits; the last one fits everything without a note."""
    return next((row for row in TABLE if row.fits(symptom)), TABLE[-1])
