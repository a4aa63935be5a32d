"""Rows of the decision table for services, their proxies and names."""

from __future__ import annotations

from netprobe.analysis.diagnosis.symptom import Answer, TablePart, TableRow
from netprobe.model.component import ComponentKind as Kind
from netprobe.model.finding import Cause
from netprobe.model.prose import Prose

SERVICE_ROWS: tuple[TableRow, ...] = (
    TableRow(
        "service-proxy-lossy",
        Cause.SERVICE_LOSSY,
        0.85,
        "From {where} only, about {loss} of the {detail} fail, again and again; other nodes get every "
        "answer: the loss is on that node.",
        Prose(
            "On that node, look at the way into the service: `conntrack -S` (insert_failed, drop), rules of "
            "the service proxy, and a local DNS cache."
        ),
        parts=frozenset({Kind.SERVICE_PROXY}),
        answers=frozenset({Answer.LOSSY}),
    ),
    TableRow(
        "dns-lossy",
        Cause.SERVICE_LOSSY,
        0.85,
        "The DNS server of {where} leaves about {loss} of the questions unanswered, from every node.",
        Prose("Check every DNS pod by its own address: load, restarts, its upstream servers."),
        parts=frozenset({Kind.DNS, TablePart.DNS_ZONE}),
        answers=frozenset({Answer.LOSSY}),
    ),
    TableRow(
        "service-lossy",
        Cause.SERVICE_LOSSY,
        0.85,
        "The service {where} fails for about {loss} of the questions, from every node: some of its endpoints "
        "do not answer.",
        Prose("Ask each endpoint of its EndpointSlices by itself; compare readiness with what answers."),
        parts=frozenset({Kind.SERVICE, Kind.FIREWALL_RULE}),
        answers=frozenset({Answer.LOSSY}),
    ),
    TableRow(
        "service-refused",
        Cause.NO_ENDPOINTS,
        0.95,
        "The service {where} refuses every connection at once: it has no endpoints.",
        Prose("Run `kubectl get endpointslices`: is any endpoint behind it ready?"),
        parts=frozenset({Kind.SERVICE}),
        answers=frozenset({Answer.REFUSED, Answer.REJECTED, Answer.PROHIBITED}),
    ),
    TableRow(
        "service-silent",
        Cause.NO_ENDPOINTS,
        0.85,
        "The service {where} answers no node, though its endpoints answer when asked directly: no backends"
        " are synced.",
        Prose("Compare its EndpointSlices with the service proxy's rules."),
        parts=frozenset({Kind.SERVICE}),
    ),
    TableRow(
        "service-proxy-stale",
        Cause.SERVICE_PROXY_STALE,
        0.9,
        "Services fail from {where} only, and their endpoints answer when asked directly: its service "
        "proxy is stale.",
        Prose(
            "Restart kube-proxy (or its replacement) on that node and compare its rules with a neighbour's."
        ),
        parts=frozenset({Kind.SERVICE_PROXY}),
    ),
    TableRow(
        "dns-forward-missing",
        Cause.DNS_FORWARD_MISSING,
        0.95,
        "The DNS server of {where} answers for cluster.local but not for {zone}: the forward is missing.",
        Prose("Check the server's configuration for the clusterset zone."),
        parts=frozenset({TablePart.DNS_ZONE}),
    ),
    TableRow(
        "dns-down",
        Cause.DNS_DOWN,
        0.9,
        "The DNS server of {where} answers no query.",
        Prose("Check the DNS pods: are they running and ready, does their Service have endpoints?"),
        parts=frozenset({Kind.DNS}),
    ),
)
