"""Rows of the decision table for parts that lose one class of traffic and pass the rest."""

from __future__ import annotations

from netprobe.analysis.diagnosis.symptom import Answer, Selection, TableRow
from netprobe.model.finding import Cause
from netprobe.model.prose import Prose

_DROPS = "On {parts}, all {traffic} are lost, while everything else passes."

SELECTIVE_ROWS: tuple[TableRow, ...] = (
    TableRow(
        "class-lossy",
        Cause.PART_LOSSY,
        0.8,
        "On {parts}, about {loss} of the {traffic} are lost, while everything else passes.",
        Prose(
            "Compare what these packets meet there and others do not: limits per protocol or size, queues, "
            "a second path (`tc -s qdisc`, `nft list ruleset`, `ip -s link`)."
        ),
        answers=frozenset({Answer.LOSSY}),
        selections=frozenset(Selection),
    ),
    TableRow(
        "flows-hashed",
        Cause.MEMBER_DOWN,
        0.85,
        "On {parts}, about {loss} of the flows{traffic} are lost, always the same ones; the others pass.",
        Prose(
            "Check the members of the bundle or equal-cost group there, one by one: routes, neighbour "
            "entries, counters of each interface."
        ),
        selections=frozenset({Selection.FLOWS}),
    ),
    TableRow(
        "class-unrecorded",
        Cause.SELECTIVE_DROP,
        0.5,
        "On {parts}, some checks{traffic} lose everything and others nothing, by nothing that was recorded.",
        Prose("Compare a check that fails with one that passes: run `netprobe why` for both pairs."),
        selections=frozenset({Selection.UNRECORDED}),
    ),
    TableRow(
        "class-protocol",
        Cause.SELECTIVE_DROP,
        0.9,
        _DROPS,
        Prose(
            "Look for a rule that names the protocol (`nft list ruleset`, NetworkPolicies). If only TCP is "
            "lost: does an address translation run out of ports (`conntrack -S`, masquerade to a range)?"
        ),
        selections=frozenset({Selection.PROTOCOL}),
    ),
    TableRow(
        "class-new-flows",
        Cause.SELECTIVE_DROP,
        0.85,
        _DROPS,
        Prose(
            "Does something that keeps state refuse new entries there? Check `dmesg | grep conntrack`, "
            "`conntrack -S` and limits on new connections in its rules."
        ),
        selections=frozenset({Selection.NEW_FLOWS}),
    ),
    TableRow(
        "class-family",
        Cause.SELECTIVE_DROP,
        0.9,
        _DROPS,
        Prose(
            "Compare routes, neighbour entries and filters of both families: `ip -6 route`, `ip -6 neigh`, "
            "`nft list ruleset`. Neighbour discovery needs ICMPv6 types 135 and 136."
        ),
        selections=frozenset({Selection.FAMILY}),
    ),
    TableRow(
        "class-source",
        Cause.SELECTIVE_DROP,
        0.85,
        _DROPS,
        Prose(
            "Check what accepts by source address there: allowed addresses of the tunnel (`wg show`), "
            "reverse-path filters, policies, ipsets of known clusters."
        ),
        selections=frozenset({Selection.SOURCE}),
    ),
    TableRow(
        "class-destination",
        Cause.SELECTIVE_DROP,
        0.85,
        _DROPS,
        Prose(
            "Check what it knows of that destination: routes, allowed addresses of the tunnel (`wg show`), "
            "neighbour and forwarding entries."
        ),
        selections=frozenset({Selection.DESTINATION}),
    ),
    TableRow(
        "class-forwarded",
        Cause.SELECTIVE_DROP,
        0.85,
        _DROPS,
        Prose(
            "Compare the gateways' FORWARD chains with their INPUT and OUTPUT chains (`nft list ruleset`), "
            "IP forwarding, and routes to the nodes and pods behind them."
        ),
        selections=frozenset({Selection.FORWARDING}),
    ),
    TableRow(
        "node-not-forwarding",
        Cause.SELECTIVE_DROP,
        0.9,
        "{where} does not forward packets {pods} its pods, though the node itself answers.",
        Prose(
            "On that node, check `sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding`, the policy "
            "of the FORWARD chain (`nft list ruleset`), and the CNI's routes and rules."
        ),
        selections=frozenset({Selection.PODS}),
    ),
    TableRow(
        "class-plane",
        Cause.SELECTIVE_DROP,
        0.85,
        _DROPS,
        Prose(
            "Compare routes and allowed addresses for pod ranges with those for node addresses: `ip route`, "
            "`wg show`, IP forwarding between host and pods."
        ),
        selections=frozenset({Selection.PLANE}),
    ),
    TableRow(
        "class-answers",
        Cause.RETURN_PATH_DROPPED,
        0.85,
        _DROPS,
        Prose("Check reverse-path filters and stateful rules: do answers take another way than requests?"),
        selections=frozenset({Selection.ANSWERS}),
    ),
    TableRow(
        "class-requests",
        Cause.SELECTIVE_DROP,
        0.85,
        _DROPS,
        Prose(
            "Look for a stateful rule that lets in answers only (`ct state established`): does one that "
            "accepts new flows precede it?"
        ),
        selections=frozenset({Selection.REQUESTS}),
    ),
)
