"""The decision table: what a symptom means, as data. A row is added by adding a row.

A symptom says which kinds of parts are under suspicion, in which column of the layered vector, and what was
heard; rows are read from the top and the first that fits names the cause. The numbers are those of the table
of layered vectors in docs/diagnosis.md; confidences are priors.
"""

from __future__ import annotations

from netprobe.analysis.diagnosis.decision_table_agents import ABSENCES
from netprobe.analysis.diagnosis.symptom import Symptom, TableRow
from netprobe.model.finding import Cause

TABLE: tuple[TableRow, ...] = (
    TableRow(
        "0",
        Cause.AGENT_SICK,
        0.95,
        "The agent {where} does not report and does not answer, while its address answers pings: the "
        "agent is "
        "sick, not the network.",
        "Look at the agent's pod: its log, its restarts, its limits.",
        part="agent",
    ),
    *ABSENCES,
    TableRow(
        "1",
        Cause.GATEWAY_DOWN,
        0.95,
        "The gateway node {where} is down: nothing reaches it, and its cluster is cut off from all others.",
        "Look at the node itself: power, hypervisor, its network interfaces; move the gateway role if you "
        "can.",
        part="node",
        gateway=True,
    ),
    TableRow(
        "1",
        Cause.NODE_DOWN,
        0.95,
        "The node {where} is down: neither host nor pods answer anybody, and none of its agents reports.",
        "Look at the node itself: power, hypervisor, its network interfaces.",
        part="node",
    ),
    TableRow(
        "1",
        Cause.GATEWAY_DOWN,
        0.8,
        "The gateway {where} forwards nothing, though the node itself answers.",
        "Look at forwarding, routes and firewall of the gateway node.",
        part="gateway-out|gateway-in",
        answer="silent|refused|rejected",
    ),
    TableRow(
        "15",
        Cause.SNAT,
        0.95,
        "{where} rewrites source addresses: {detail}. Whoever is called sees the gateway, not the pod.",
        "Exempt pod ranges of the other clusters from masquerading on the gateway.",
        part="gateway-out|node-out",
        note="snat",
    ),
    TableRow(
        "24",
        Cause.WRONG_PEER,
        0.95,
        "Behind {where} somebody else answers: {detail}. Addresses overlap.",
        "Compare pod ranges and routes of both clusters; look for an address translation on the gateway.",
        answer="wrong-peer",
    ),
    TableRow(
        "6",
        Cause.SERVICE_PROXY_STALE,
        0.95,
        "UDP to a service fails on {where} from old source ports only: a stale conntrack entry.",
        "conntrack -D -p udp on that node.",
        part="service-proxy",
        note="same-port-only",
    ),
    TableRow(
        "7",
        Cause.OVERLAY_BLOCKED,
        0.9,
        "Connections over {parts} take about a minute: checksum offload of the overlay interface.",
        "ethtool -K <overlay interface> tx-checksum-ip-generic off on both nodes.",
        part="overlay",
        note="slow-connect",
    ),
    TableRow(
        "20",
        Cause.CONNTRACK_FULL,
        0.9,
        "New flows fail on {where} to all targets while old ones live: its connection table is full.",
        "dmesg | grep conntrack; raise nf_conntrack_max or find who opens so many flows.",
        part="node-out|node",
        note="new-flows-only",
    ),
    TableRow(
        "21",
        Cause.SNAT,
        0.8,
        "Rare connects of one or three seconds behind {where}: source ports collide in its translation.",
        "Use random-fully source ports in the masquerading rule.",
        part="gateway-out",
        note="port-race",
    ),
    TableRow(
        "22",
        Cause.IDLE_TIMEOUT,
        0.95,
        "Flows over {parts} die after a quiet period: something on the way forgets them.",
        "Send keep-alives more often than the time-out, or raise it on the firewall on the way.",
        note="idle",
    ),
    TableRow(
        "23",
        Cause.TUNNEL_DOWN,
        0.7,
        "{parts} works only after the far side has spoken: tunnel or access list keep state.",
        "Set a persistent keep-alive on the tunnel; compare the access lists of both ends.",
        part="tunnel",
        note="woken",
    ),
    TableRow(
        "18",
        Cause.POLICY_DROP,
        0.75,
        "First packets reach {where} and are dropped as invalid: the way back is another one.",
        "Look for asymmetric routes; compare conntrack -L on both ends.",
        part="firewall-rule",
        note="invalid",
    ),
    TableRow(
        "29",
        Cause.STATUS_CONTRADICTED,
        0.95,
        "A gateway calls {parts} connected, but packets do not pass: its own status hides the "
        "fault, and whoever watches only that sees nothing.",
        "Believe the packets: look behind the handshake, at allowed ranges, routes and filters of both "
        "gateways.",
        part="tunnel",
        note="called-connected",
    ),
    TableRow(
        "9",
        Cause.TUNNEL_MTU,
        0.95,
        "Large packets from {here} to {there} vanish, small ones pass: an MTU black hole in that direction.",
        "Compare the MTU of both tunnel ends and clamp TCP MSS; allow ICMP fragmentation-needed.",
        part="tunnel",
        column="large",
        ways="one",
    ),
    TableRow(
        "8",
        Cause.TUNNEL_MTU,
        0.95,
        "Large packets between {here} and {there} vanish both ways, small ones pass: an MTU black hole.",
        "Compare the MTU of both tunnel ends and clamp TCP MSS; allow ICMP fragmentation-needed.",
        part="tunnel",
        column="large",
    ),
    TableRow(
        "8",
        Cause.TUNNEL_MTU,
        0.8,
        "Large packets over {parts} vanish, small ones pass: an MTU black hole inside the cluster.",
        "Compare the MTU of the pod interfaces with that of the node's network less the overlay's header.",
        part="overlay|pod-in|pod-out|gateway-in|gateway-out|route",
        column="large",
    ),
    TableRow(
        "28",
        Cause.TUNNEL_SLOW,
        0.8,
        "{parts} has become slow: {loss}.",
        "Look for a detour or a full queue on the way between the gateways: `mtr` from one to the other.",
        part="tunnel",
        answer="slow",
    ),
    TableRow(
        "25",
        Cause.TUNNEL_LOSSY,
        0.9,
        "The link between {here} and {there} loses about {loss} of the packets.",
        "Look at errors and queues of the link; test the path below the tunnel for loss.",
        part="tunnel",
        answer="lossy",
    ),
    TableRow(
        "13",
        Cause.TUNNEL_DOWN,
        0.9,
        "The link between {here} and {there} carries nothing either way{outer}.",
        "Look at the tunnel on both gateways: is the daemon up, is its UDP port let through, do the keys "
        "fit?",
        part="tunnel",
        ways="both",
    ),
    TableRow(
        "12",
        Cause.RETURN_PATH_DROPPED,
        0.85,
        "Packets from {here} to {there} vanish while those from {there} to {here} arrive: one direction is "
        "dropped.",
        "Look at reverse-path filters, firewall rules and allowed addresses on the two gateways.",
        part="tunnel",
        ways="one",
    ),
    TableRow(
        "10",
        Cause.ROUTE_MISSING,
        0.9,
        "{here} does not send packets for {remote} to its gateway, other nodes do: a route is missing there.",
        "Compare `ip route` on that node with a healthy neighbour.",
        part="route",
    ),
    TableRow(
        "2",
        Cause.OVERLAY_BLOCKED,
        0.9,
        "Pods of {here} and {there} do not reach each other, the nodes themselves do: the overlay is "
        "blocked.",
        "Is the overlay's port (VXLAN: UDP 4789 or 8472) let through between the nodes?",
        part="overlay",
        ways="both",
    ),
    TableRow(
        "11",
        Cause.OVERLAY_BLOCKED,
        0.85,
        "Pod traffic from {here} to {there} vanishes, the other way passes: the overlay is blocked in one "
        "direction.",
        "Compare overlay entries (bridge fdb, routes, tunnel map) on both nodes.",
        part="overlay",
        ways="one",
    ),
    TableRow(
        "19",
        Cause.POLICY_REJECT,
        0.95,
        "{door} on {where} is rejected{detail}, while other protocols pass: a firewall or policy says no.",
        "Look for a reject rule or NetworkPolicy on that node.",
        part="firewall-rule",
        answer="rejected|refused",
    ),
    TableRow(
        "19",
        Cause.POLICY_DROP,
        0.85,
        "{door} on {where} is silent for everybody, while other protocols pass: a firewall or policy "
        "drops it.",
        "Look for a drop rule, NetworkPolicy or security group on that node.",
        part="firewall-rule",
    ),
    TableRow(
        "5",
        Cause.NO_ENDPOINTS,
        0.95,
        "The service {where} refuses everybody at once: it has no endpoints.",
        "kubectl get endpointslices: is anything ready behind it?",
        part="service",
        answer="refused|rejected",
    ),
    TableRow(
        "4",
        Cause.NO_ENDPOINTS,
        0.85,
        "The service {where} answers nobody, though its endpoints do when asked directly: no backends are "
        "synced.",
        "Compare EndpointSlices with the rules of the service proxy.",
        part="service",
    ),
    TableRow(
        "3",
        Cause.SERVICE_PROXY_STALE,
        0.9,
        "Services fail from {where} only, their endpoints answer when asked directly: its service proxy "
        "is stale.",
        "Restart kube-proxy (or its replacement) on that node and compare its rules with a neighbour's.",
        part="service-proxy",
    ),
    TableRow(
        "26",
        Cause.DNS_FORWARD_MISSING,
        0.95,
        "The DNS server of {where} answers for cluster.local but not for {zone}: the forward is missing.",
        "Look at the server's configuration for the clusterset zone.",
        part="dns-zone",
    ),
    TableRow(
        "27",
        Cause.DNS_DOWN,
        0.9,
        "The DNS server of {where} answers nobody.",
        "Look at the DNS pods: running, ready, with endpoints?",
        part="dns",
    ),
    TableRow(
        "1",
        Cause.NODE_DOWN,
        0.8,
        "{where} neither reaches nor is reached by anybody, though its agents still report.",
        "Look at the node's interface towards the other nodes.",
        part="node-out|node-in",
        ways="both",
    ),
    TableRow(
        "17",
        Cause.UNKNOWN,
        0.6,
        "The way between node and pods of {where} is broken: {parts}.",
        "Look at routes, reverse-path filter and CNI on that node.",
        part="pod-in|pod-out",
    ),
    TableRow(
        "?", Cause.UNKNOWN, 0.4, "{parts} loses packets; no known pattern fits.", "Trace the way by hand."
    ),
)


def read_table(symptom: Symptom) -> TableRow:
    """The first row that fits; the last one fits everything."""
    return next((row for row in TABLE if row.fits(symptom)), TABLE[-1])
