"""Prometheus metrics of one snapshot and of the collector.

Rule: label values are bounded. Paths are counted by ordered pair of clusters and state, agents by cluster,
plane and state; only the first :data:`MOST_FINDINGS` open findings contain names of nodes. A fleet of n
clusters has at most 4·n·(n+1) + 9·n of these series. States and causes without members are exported as 0, so
that an alert can distinguish "none" from "no data".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import product

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from netprobe.model.check import Check, Expectation
from netprobe.model.collector_health import AuthStats, CollectorHealth
from netprobe.model.finding import Cause
from netprobe.model.names import Plane
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState, PathState
from netprobe.model.units import SECOND_NS
from netprobe.render.labels import headline

MOST_FINDINGS = 50
OUTSIDE = "outside"
"""Target label of paths that lead out of the fleet."""
_TOTALS = {
    "reports_stored": "Agent reports stored since the history was created",
    "reports_repeated": "Repeated reports that were dropped",
    "windows_stored": "Windows (one check, one interval) stored",
    "messages_malformed": "Messages that could not be read as reports",
}


class _FixedCollector(Collector):
    """Registers metric families that are already filled."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def encode_metrics(
    snapshot: Snapshot | None, vitals: CollectorHealth, *, accept: str = ""
) -> tuple[bytes, str]:
    """Body and content type for an ``Accept`` header; without *snapshot*, of the collector alone."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(_FixedCollector(_of_collector(vitals)))
    if snapshot is not None:
        registry.register(_FixedCollector(_of_fleet(snapshot)))
    encode, content_type = _choose_encoder(accept)
    return encode(registry), content_type


def _choose_encoder(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """The library's choice; plain text where 0.26.0 stumbles over a version (in quotes, a word)."""
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):
        return choose_encoder("")


def _of_fleet(snapshot: Snapshot) -> Iterator[Metric]:
    yield _paths(snapshot)
    yield from _findings(snapshot)
    yield _agents(snapshot)
    yield _clocks(snapshot)
    known = GaugeMetricFamily(
        "netprobe_cluster_api_up", "Whether the API of a cluster is read now", labels=["cluster"]
    )
    for cluster in snapshot.inventory.clusters:
        if not cluster.is_site:
            known.add_metric([cluster.name], float(not cluster.away))
    yield known
    yield from _coverage(snapshot)
    yield _gauge(
        "netprobe_concluded_timestamp_seconds",
        "Time of the last analysis",
        snapshot.taken_ns / SECOND_NS,
    )


def _paths(snapshot: Snapshot) -> Metric:
    family = GaugeMetricFamily(
        "netprobe_paths", "Checks by ordered pair of clusters and state", labels=["source", "target", "state"]
    )
    states = {path.check: path.state for path in snapshot.paths}
    counts: Counter[tuple[str, str, PathState]] = Counter()
    for check in snapshot.checks:
        if check.expect is not Expectation.DENY:
            counts[check.source.cluster, target_of(check), states.get(check.id, PathState.UNKNOWN)] += 1
    for source, target in sorted({(source, target) for source, target, _ in counts}):
        for state in PathState:
            family.add_metric([source, target, state], counts[source, target, state])
    return family


def target_of(check: Check) -> str:
    """The cluster of a check's target, or :data:`OUTSIDE`."""
    target = check.target
    return target.cluster or OUTSIDE


def _findings(snapshot: Snapshot) -> Iterator[Metric]:
    by_cause = GaugeMetricFamily("netprobe_findings", "Open findings by cause", labels=["cause"])
    counts = Counter(finding.cause for finding in snapshot.findings)
    for cause in Cause:
        by_cause.add_metric([cause], counts[cause])
    yield by_cause
    each = GaugeMetricFamily(
        "netprobe_finding_confidence",
        f"Confidence of each open finding, 0-1; the {MOST_FINDINGS} most certain",
        labels=["finding", "cause", "says"],
    )
    for finding in snapshot.findings[:MOST_FINDINGS]:
        # Without its changing figures, so that the series stays the same while the finding lasts.
        each.add_metric(
            [finding.id, finding.cause, headline(replace(finding, loss=None))], finding.confidence
        )
    yield each


def _agents(snapshot: Snapshot) -> Metric:
    family = GaugeMetricFamily(
        "netprobe_agents",
        "Agents by state: alive, sick (not trusted), silent (stopped reporting), absent (never reported)",
        labels=["cluster", "plane", "state"],
    )
    names = ((status.agent, status.state) for status in snapshot.agents)
    counts = Counter((agent.cluster, agent.plane, state) for agent, state in names)
    for cluster, plane, state in product(sorted({key[0] for key in counts}), Plane, AgentState):
        family.add_metric([cluster, plane, state], counts[cluster, plane, state])
    return family


def _clocks(snapshot: Snapshot) -> Metric:
    family = GaugeMetricFamily(
        "netprobe_agent_clock_offset_seconds",
        "Clock of an agent minus the collector's, where they differ",
        labels=["agent"],
    )
    for status in snapshot.agents:
        if status.clock_offset_ns:
            family.add_metric([str(status.agent)], status.clock_offset_ns / SECOND_NS)
    return family


def _coverage(snapshot: Snapshot) -> Iterator[Metric]:
    coverage = snapshot.coverage
    for name, description, value in (
        ("components", "Components that can break, each in one direction", coverage.components),
        ("components_covered", "Components that a check of this epoch crosses", coverage.covered),
        ("components_identifiable", "Components whose failure is distinct", coverage.identifiable),
        ("checks", "Checks of this epoch", coverage.checks),
        ("checks_left_out", "Variants of checks left out by the budgets in this epoch", coverage.left_out),
        ("cluster_pairs_unjoined", "Cluster pairs without a connection", len(coverage.unjoined)),
    ):  # fmt: skip
        yield _gauge(f"netprobe_{name}", description, value)


def _of_collector(vitals: CollectorHealth) -> Iterator[Metric]:
    yield _gauge("netprobe_collector_info", "The collector's version", 1, version=vitals.version)
    yield _gauge(
        "netprobe_started_timestamp_seconds", "Time when the collector started", vitals.started_ns / SECOND_NS
    )
    yield _gauge("netprobe_epoch", "The epoch of the plans", vitals.epoch)
    yield _gauge(
        "netprobe_interval_seconds",
        "Length of an interval: one round of all checks",
        vitals.interval_ns / SECOND_NS,
    )
    yield _gauge("netprobe_agents_planned", "Agents that have a plan", vitals.agents_planned)
    if vitals.last_report_ns is not None:
        yield _gauge(
            "netprobe_last_report_timestamp_seconds",
            "Time when a report was last stored",
            vitals.last_report_ns / SECOND_NS,
        )
    yield _gauge(
        "netprobe_history_writable", "Whether reports can be stored now", float(not vitals.history_fault)
    )
    yield _counter(
        "netprobe_histories_replaced",
        "Damaged histories moved aside since the start",
        vitals.histories_replaced,
    )
    yield from _of_bus(vitals)
    counters = asdict(vitals.counters)
    for name, description in _TOTALS.items():
        yield _counter(f"netprobe_{name}", description, counters[name])
    yield _by_reason(
        "netprobe_windows_rejected", "Windows rejected since the start",
        vitals.windows_rejected_by_reason,
    )  # fmt: skip
    yield _counter(
        "netprobe_analysis_errors", "Errors of the analysis since the start", vitals.analysis_errors
    )
    yield _counter(
        "netprobe_inventories_refused", "Inventories refused since the start", vitals.inventories_refused
    )
    if vitals.auth is not None:
        yield from _of_auth(vitals.auth)


def _of_bus(vitals: CollectorHealth) -> Iterator[Metric]:
    yield _gauge(
        "netprobe_round_trip_up",
        "Whether the collector's own messages pass the bus, the history and the analysis",
        float(not vitals.round_trip_fault),
    )
    for name, description, value in (
        ("bus_restarts", "Starts of a bus server that was stuck", vitals.bus_restarts),
        ("stream_damages", "Complaints of the bus server about spoilt files", vitals.stream_damages),
        ("reports_destroyed", "Reports that the bus had taken and that never came", vitals.reports_destroyed),
        ("reports_sent_again", "Reports that the bus lost and agents sent again", vitals.reports_sent_again),
    ):
        yield _counter(f"netprobe_{name}", f"{description}, since the start", value)
    yield _gauge(
        "netprobe_reports_missing",
        "Reports that the bus had taken and lost, and that agents are asked for",
        vitals.reports_missing,
    )
    if vitals.volume_free_bytes is not None:
        yield _gauge("netprobe_volume_free_bytes", "Left on the collector's volume", vitals.volume_free_bytes)


def _of_auth(auth: AuthStats) -> Iterator[Metric]:
    for name, description, value in (
        ("tokens_admitted", "Connections admitted by token since the start", auth.tokens_admitted),
        ("tokens_unchecked", "Admitted connections with an unchecked token", auth.tokens_unchecked),
        ("registrations_refused", "Cluster registrations that could not be used", auth.registrations_refused),
    ):  # fmt: skip
        yield _counter(f"netprobe_{name}", description, value)
    yield _by_reason("netprobe_tokens_refused", "Connections refused since the start", auth.tokens_refused)


def _gauge(name: str, description: str, value: float, **labels: str) -> Metric:
    family = GaugeMetricFamily(name, description, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _counter(name: str, description: str, value: float) -> Metric:
    family = CounterMetricFamily(name, description)
    family.add_metric([], value)
    return family


def _by_reason(name: str, description: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, description, labels=["reason"])
    for reason, value in sorted(counts.items()):
        family.add_metric([reason], value)
    return family
