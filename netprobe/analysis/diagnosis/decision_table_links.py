"""Rows of the decision table for the links between clusters that are slow, lossy or down."""

from __future__ import annotations

from netprobe.analysis.diagnosis.symptom import Answer, Directions, Note, TableRow
from netprobe.model.component import ComponentKind as Kind
from netprobe.model.finding import Cause
from netprobe.model.prose import Prose

LINK_ROWS: tuple[TableRow, ...] = (
    TableRow(
        "outer-silent",
        Cause.UNKNOWN,
        0.5,
        "The gateways of {here} and {there} do not answer each other's pings at their outer addresses, "
        "though the link between them passes packets.",
        Prose("Is ICMP filtered between the outer addresses? Nothing else is lost there now."),
        parts=frozenset({Kind.UNDERLAY}),
    ),
    TableRow(
        "tunnel-slow",
        Cause.TUNNEL_SLOW,
        0.8,
        "{parts} has become slow: {loss}.",
        Prose("Check for a detour or a full queue between the gateways: run `mtr` from one to the other."),
        parts=frozenset({Kind.TUNNEL}),
        answers=frozenset({Answer.SLOW}),
    ),
    TableRow(
        "tunnel-lossy",
        Cause.TUNNEL_LOSSY,
        0.9,
        "The link between {here} and {there} loses about {loss} of the packets.",
        Prose("Check the link's errors and queues; test the path below the tunnel for loss."),
        parts=frozenset({Kind.TUNNEL}),
        answers=frozenset({Answer.LOSSY}),
    ),
    TableRow(
        "tunnel-outer-down",
        Cause.TUNNEL_DOWN,
        0.9,
        "The link between {here} and {there} passes no packets in either direction, and the gateways' outer "
        "addresses do not answer each other: the fault is below the tunnel.",
        Prose(
            "On each gateway, run `ip route get` and `ping` for the other's outer address: is it routed into "
            "the tunnel itself, filtered, or is the network between them down?"
        ),
        parts=frozenset({Kind.TUNNEL}),
        directions=frozenset({Directions.BOTH}),
        note=Note.OUTER_SILENT,
    ),
    TableRow(
        "tunnel-outer-one-way",
        Cause.TUNNEL_DOWN,
        0.85,
        "The link from {here} to {there} passes no packets, and the outer address of {there}'s gateway does "
        "not answer {here}'s: the fault is below the tunnel, on the way from {here}.",
        Prose(
            "On the gateway that sends, run `ip route get` for the other's outer address: is it routed into "
            "the tunnel itself? Then look for a filter between the two outer addresses."
        ),
        parts=frozenset({Kind.TUNNEL}),
        directions=frozenset({Directions.ONE}),
        note=Note.OUTER_SILENT,
    ),
    TableRow(
        "tunnel-down",
        Cause.TUNNEL_DOWN,
        0.9,
        "The link between {here} and {there} passes no packets in either direction{outer}.",
        Prose(
            "Check the tunnel on both gateways: is the daemon running, is its UDP port allowed, do the keys "
            "match?"
        ),
        parts=frozenset({Kind.TUNNEL}),
        directions=frozenset({Directions.BOTH}),
    ),
    TableRow(
        "tunnel-one-way",
        Cause.RETURN_PATH_DROPPED,
        0.85,
        "Packets from {here} to {there} are lost while those from {there} to {here} arrive: one direction "
        "is dropped.",
        Prose("Check reverse-path filters, firewall rules and allowed addresses on the two gateways."),
        parts=frozenset({Kind.TUNNEL}),
        directions=frozenset({Directions.ONE}),
    ),
)
