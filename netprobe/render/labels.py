"""Texts for people: short names, durations, headlines of findings, and the verdict in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from netprobe.analysis.diagnosis.traffic_text import describe_traffic
from netprobe.model.clean_text import clean
from netprobe.model.component import Component, ComponentKind
from netprobe.model.finding import UNMEASURED, Cause, Finding
from netprobe.model.inventory import Inventory, LinkKind
from netprobe.model.prose import Prose
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState, PathState

MARKS: Mapping[PathState, str] = {
    PathState.UP: "✓",
    PathState.DEGRADED: "≈",
    PathState.DOWN: "✕",
    PathState.UNKNOWN: "?",
}
"""One mark per state, so that no state is shown by colour alone."""

_CAUSES: Mapping[Cause, str] = {
    Cause.TUNNEL_DOWN: "{link} is down",
    Cause.TUNNEL_MTU: "{link} drops large packets",
    Cause.TUNNEL_LOSSY: "{link} loses {loss}",
    Cause.RETURN_PATH_DROPPED: "{link} passes no packets",
    Cause.TUNNEL_SLOW: "{link} has become slow",
    Cause.OVERLAY_BLOCKED: "overlay {pair} is blocked",
    Cause.ROUTE_MISSING: "{at} has no route {detail}",
    Cause.ROUTING_LOOP: "packets loop at {part}",
    Cause.DUPLICATED: "{part} duplicates packets",
    Cause.NODE_DOWN: "node {at} is down",
    Cause.GATEWAY_DOWN: "gateway {at} is down",
    Cause.SERVICE_PROXY_STALE: "service proxy of {at} is stale",
    Cause.NO_ENDPOINTS: "service {detail} in {at} has no endpoints",
    Cause.SERVICE_LOSSY: "{part} loses {loss} of the questions",
    Cause.DNS_DOWN: "DNS of {at} is down",
    Cause.DNS_FORWARD_MISSING: "DNS of {at} does not forward {detail}",
    Cause.POLICY_DROP: "{at} silently drops {detail}",
    Cause.POLICY_REJECT: "{at} rejects {detail}",
    Cause.SNAT: "gateway {at} rewrites source addresses",
    Cause.WRONG_PEER: "gateway {at} delivers to the wrong pod",
    Cause.IDLE_TIMEOUT: "{link} forgets idle flows",
    Cause.CONNTRACK_FULL: "connection table of {at} is full",
    Cause.SELECTIVE_DROP: "{part} loses {traffic}",
    Cause.MEMBER_DOWN: "{part} loses {loss} of the flows",
    Cause.STATUS_CONTRADICTED: "the reported status of {link} contradicts the packets",
    Cause.INTENT_BROKEN: "{pair} should pass, but does not: {detail}",
    Cause.INTENT_LEAK: "leak {pair}: {detail}",
    Cause.AGENT_SICK: "agent {at} is not measuring",
    Cause.AGENT_CUT_OFF: "no reports from {at}",
    Cause.CLOCK: "clock of {at} is wrong",
    Cause.PART_LOSSY: "{part} loses {loss}",
    Cause.UNEXPLAINED: "failures at {part}, not explained",
    Cause.UNKNOWN: "{part} is broken, cause unknown",
}


def short_names(names: Iterable[str]) -> dict[str, str]:
    """The shortest leading words that keep the names distinct.

    >>> short_names(["prod-us-west-1", "staging-eu-1", "staging-us-1"])
    {'prod-us-west-1': 'prod', 'staging-eu-1': 'staging-eu', 'staging-us-1': 'staging-us'}
    """
    names = tuple(names)
    heads = Counter("-".join(name.split("-")[:n]) for name in names for n in range(1, name.count("-") + 2))
    return {name: _short(name, heads) for name in names}


def _short(name: str, heads: Mapping[str, int]) -> str:
    words = name.split("-")
    return next(("-".join(words[:n]) for n in range(1, len(words)) if heads["-".join(words[:n])] == 1), name)


def short_hosts(names: Iterable[str]) -> dict[str, str]:
    """Names of hosts without their domains, if they stay distinct; addresses are not shortened.

    >>> short_hosts(["ip-10-0-1-7.eu.internal", "gw.a", "gw.b", "10.0.1.8"])
    {'ip-10-0-1-7.eu.internal': 'ip-10-0-1-7', 'gw.a': 'gw.a', 'gw.b': 'gw.b', '10.0.1.8': '10.0.1.8'}
    """
    names = tuple(names)
    heads = Counter(name.partition(".")[0] for name in names)
    return {
        name: head if heads[head] == 1 and not head.isdigit() else name
        for name, head in ((name, name.partition(".")[0]) for name in names)
    }


def place_of(environment: str, region: str) -> str:
    """Environment and region of a cluster, as far as the inventory gives them.

    >>> place_of("prod", "eu"), place_of("", "eu"), place_of("", "")
    ('prod · eu', 'eu', '–')
    """
    return " · ".join(part for part in (environment, region) if part) or "–"


@dataclass(frozen=True, slots=True)
class Names:
    """Short names of one fleet's parts, as people use them."""

    short: Mapping[str, str] = field(default_factory=dict)
    """Names of clusters, and of their nodes (``cluster/node``), abbreviated."""
    direct: frozenset[frozenset[str]] = frozenset()
    """Pairs of clusters with a direct link and no tunnel between them."""
    direct_beside: frozenset[tuple[frozenset[str], str]] = frozenset()
    """Direct links beside other links of the same pair: the pair, and the detail that identifies the link."""

    @classmethod
    def of(cls, inventory: Inventory) -> Names:
        """The names of everything in *inventory*."""
        pairs: dict[LinkKind, set[frozenset[str]]] = {kind: set() for kind in LinkKind}
        for link in inventory.links:
            pairs[link.kind].add(frozenset((link.source, link.target)))
        direct = pairs[LinkKind.DIRECT] - pairs[LinkKind.TUNNEL]
        beside = {
            (frozenset((link.source, link.target)), detail)
            for link, detail in zip(inventory.links, inventory.link_details(), strict=True)
            if detail and link.kind is LinkKind.DIRECT
        }
        short = short_names(cluster.name for cluster in inventory.clusters)
        nodes = {
            f"{cluster.name}/{name}": f"{short[cluster.name]}/{host}"
            for cluster in inventory.clusters
            for name, host in short_hosts(node.name for node in cluster.nodes).items()
        }
        return cls(short | nodes, frozenset(direct), frozenset(beside))

    def shorten(self, name: str) -> str:
        """The short name of a cluster or of something in one (``cluster/node/plane``)."""
        return _shorten(name, self.short)

    def kind_of(self, component: Component) -> str:
        """The kind of a component; a direct connection of two clusters is a ``link``, not a ``tunnel``."""
        pair = component.clusters
        is_direct = pair in self.direct or (pair, component.link) in self.direct_beside
        return "link" if is_direct and component.kind is ComponentKind.TUNNEL else component.kind.value


def headline(finding: Finding, names: Names | None = None) -> str:
    """A finding in a few words."""
    names = names or Names()
    short = names.short
    if not finding.components:
        return f"{finding.cause}: no component could be singled out"
    first = finding.components[0]
    loss = f"{finding.loss:.0%}".replace("%", " %") if finding.loss is not None else "packets"
    return _CAUSES[finding.cause].format(
        link=f"{names.kind_of(first)} {pair_of(finding.components, short)}{_link_detail(first)}",
        pair=pair_of(finding.components, short),
        at=_shorten(str(first.source), short),
        detail=_shorten_detail(first, short),
        part=_shorten_part(first, names),
        loss=loss,
        traffic=describe_traffic(finding.traffic) if finding.traffic else "some packets",
    )


def _link_detail(link: Component) -> str:
    """The detail that identifies one of several links between the same clusters."""
    return f" ({link.link})" if link.link else ""


def _shorten(name: str, short: Mapping[str, str]) -> str:
    """Replace the longest known prefix by its short name; keep the rest."""
    cluster, *rest = name.split("/")
    if rest and (node := short.get(f"{cluster}/{rest[0]}")):
        return "/".join((node, *rest[1:]))
    return "/".join((short.get(cluster, cluster), *rest))


def _shorten_detail(component: Component, short: Mapping[str, str]) -> str:
    return " ".join(short.get(word, word) for word in str(component.detail).split())


def _shorten_part(component: Component, names: Names) -> str:
    short = names.short
    where = _shorten(str(component.source), short)
    where += f" → {_shorten(str(component.target), short)}" if component.target else ""
    return f"{names.kind_of(component)} {where}{f' {component.detail}' if component.detail else ''}"


def pair_of(components: tuple[Component, ...], short: Mapping[str, str]) -> str:
    """``a ↔ b`` if both directions are named, ``a → b`` if one is."""
    first = components[0]
    both = any(other.is_reverse_of(first) for other in components)
    if not first.target:
        return _shorten(str(first.source), short)
    return f"{_shorten(str(first.source), short)} {'↔' if both else '→'} {_shorten(str(first.target), short)}"


def verdict(snapshot: Snapshot) -> str:
    """The whole snapshot in one sentence."""
    findings = snapshot.findings
    if findings:
        names = Names.of(snapshot.inventory)
        headlines = [headline(finding, names) for finding in findings[:2]]
        more = f" and {len(findings) - 2} more" if len(findings) > 2 else ""
        return f"{count(len(findings), 'finding')}: {'; '.join(headlines)}{more}"
    return _verdict_without_findings(snapshot)


def _verdict_without_findings(snapshot: Snapshot) -> str:
    states = Counter(path.state for path in snapshot.paths)
    agents = sum(1 for _ in snapshot.inventory.iter_agents())
    alive = sum(status.state is AgentState.ALIVE for status in snapshot.agents)
    if not snapshot.paths:
        return f"nothing measured yet by {count(agents, 'agent')}"
    if states[PathState.DOWN] or states[PathState.DEGRADED]:
        broken = [
            f"{states[state]} {state}" for state in (PathState.DOWN, PathState.DEGRADED) if states[state]
        ]
        return f"{' and '.join(broken)} of {count(len(snapshot.paths), 'path')}; no finding explains this yet"
    if states[PathState.UNKNOWN] or alive < agents:
        return (
            f"no fault found, but {states[PathState.UNKNOWN]} of {count(len(snapshot.paths), 'path')} "
            f"not measured; {alive} of {count(agents, 'agent')} alive"
        )
    if _checked_pairs(snapshot) < _node_pairs(snapshot):
        return f"all {count(len(snapshot.paths), 'measured path')} are up, nothing broken"
    return f"all {count(agents, 'agent')} reach each other, nothing broken"


def _checked_pairs(snapshot: Snapshot) -> int:
    pairs = {(check.source.node_id, check.target.node) for check in snapshot.checks if check.target.node}
    return sum(source != target for source, target in pairs)


def _node_pairs(snapshot: Snapshot) -> int:
    nodes = len({agent.node_id for agent in snapshot.inventory.iter_agents()})
    return nodes * (nodes - 1)


def severity(snapshot: Snapshot) -> PathState:
    """The colour of the verdict; an agent that does not measure is unknown, not down."""
    if any(finding.cause not in UNMEASURED for finding in snapshot.findings) or (
        not snapshot.findings and is_broken(snapshot)
    ):
        return PathState.DOWN
    unknown = any(path.state is PathState.UNKNOWN for path in snapshot.paths)
    return PathState.UNKNOWN if snapshot.findings or unknown or not snapshot.paths else PathState.UP


def is_broken(snapshot: Snapshot) -> bool:
    """Whether anything is broken: an open finding, or a path that is down."""
    return bool(snapshot.findings) or any(path.state is PathState.DOWN for path in snapshot.paths)


def unmeasured(snapshot: Snapshot) -> str:
    """What was not measured, in one line; empty if everything was measured."""
    missing = []
    unknown = sum(path.state is PathState.UNKNOWN for path in snapshot.paths)
    if unknown:
        missing.append(f"{count(unknown, 'path')} of {len(snapshot.paths)}")
    silent = [status.agent for status in snapshot.agents if status.state is not AgentState.ALIVE]
    if silent:
        missing.append(
            f"{count(len(silent), 'agent')} not reporting" + (f" ({silent[0]})" if len(silent) == 1 else "")
        )
    if snapshot.coverage.uncovered:
        missing.append(f"{count(len(snapshot.coverage.uncovered), 'component')} crossed by no check")
    return "; ".join(missing)


def one_line(text: str) -> str:
    r"""Text from a peer on one line, without control characters that a terminal would interpret.

    >>> one_line("no\n\x1b[31mway")
    'no \ufffd[31mway'
    """
    return clean(" ".join(" ".join(text.splitlines()).split()))


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "path"), count(12, "path")
    ('1 path', '12 paths')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def moment(at_ns: int) -> str:
    """A wall-clock time in UTC; empty if it is not known.

    >>> moment(1_795_417_812_000_000_000)
    '2026-11-23 07:10:12 UTC'
    """
    return f"{datetime.fromtimestamp(at_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC" if at_ns else ""


def duration(span_ns: float | None) -> str:
    """A duration for people; a dash if there is none.

    >>> [duration(ns) for ns in (None, 812, 310_000, 71_400_000, 5e9, 240e9, 7.3e12)]
    ['–', '1 µs', '310 µs', '71.4 ms', '5 s', '4 min', '2.0 h']
    """
    if span_ns is None:
        return "–"
    for unit, size, digits in (("d", 86_400e9, 1), ("h", 3_600e9, 1), ("min", 60e9, 0), ("s", 1e9, 0)):
        if span_ns >= (2 * size if unit == "min" else size):
            return f"{span_ns / size:.{digits}f} {unit}"
    return f"{span_ns / 1e6:.1f} ms" if span_ns >= 1e6 else f"{max(1, round(span_ns / 1e3))} µs"


def lasted_ns(finding: Finding) -> int | None:
    """Duration of an ended finding; None if it has not ended or its times contradict each other."""
    if finding.ended_ns is None or finding.ended_ns < finding.first_seen_ns:
        return None
    return finding.ended_ns - finding.first_seen_ns


def percent(share: float | None) -> str:
    """A share in percent; a dash if there is none.

    >>> percent(0.3), percent(0.004), percent(None)
    ('30 %', '0.4 %', '–')
    """
    if share is None:
        return "–"
    return f"{share * 100:.0f} %" if share == 0 or share >= 0.0095 else f"{share * 100:.1f} %"


def begin_large(text: Prose) -> str:
    """A text that begins a sentence.

    >>> begin_large(Prose("asked with patience"))
    'Asked with patience'
    """
    shown = str(text)
    return shown[:1].upper() + shown[1:]
