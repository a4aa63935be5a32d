"""Tables for the terminal, readable from 80 columns up.

Rules: what is broken comes first; a state is shown as colour, word and mark; for a large fleet, only what
differs is listed and the rest is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Column, Table

from netprobe.analysis.queries.unasked import find_unasked
from netprobe.model.capability import Capability
from netprobe.model.component import Component
from netprobe.model.finding import Evidence, Finding
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentState, AgentStatus, PathState
from netprobe.render.graph import build_graph, find_links, link_label
from netprobe.render.labels import (
    MARKS,
    Names,
    count,
    duration,
    headline,
    moment,
    percent,
    severity,
    unmeasured,
    verdict,
)
from netprobe.render.terminal.class_coverage import class_table, describe_gaps, describe_unasked
from netprobe.render.terminal.console import Text, TextConsole

MANY_NODES = 40
"""With more nodes than this, a table shows only what differs."""

_BETWEEN = 2
"""Characters between two columns of a table; one of them takes the place of a border."""
_LEAST_TEXT = 14
"""Smallest width of free text, in characters: two or three words per line."""

STYLES: Mapping[str, str] = {
    "up": "cyan",
    "degraded": "yellow",
    "down": "bold red",
    "unknown": "bright_black",
    "alive": "cyan",
    "sick": "yellow",
    "silent": "bold yellow",
    "absent": "bold yellow",
}


def render_text(renderable: RenderableType, *, width: int) -> str:
    """The output of a terminal of *width* columns without colours."""
    console = TextConsole(width=width, is_plain=True)
    console.print(renderable)
    return console.written


def state_text(state: str) -> Text:
    """Mark and word of a state in its colour."""
    mark = MARKS[PathState(state)] if state in set(PathState) else {"alive": "✓"}.get(state, "?")
    return Text(f"{mark} {state}", style=STYLES.get(state, ""))


class _AiryTable(Table):
    """A table that truncates nothing: it wraps what does not fit, free text first, then names."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Wrap names too if free text would otherwise get less than its smallest width."""
        widths = [
            min(_widest(column, console, options), options.max_width if column.no_wrap else _LEAST_TEXT)
            for column in self.columns
        ]
        if sum(widths) + _BETWEEN * (len(widths) - 1) > options.max_width:
            for column in self.columns:
                column.no_wrap = column.justify == "right"
        yield from super().__rich_console__(console, options)


def _widest(column: Column, console: Console, options: ConsoleOptions) -> int:
    return max(Measurement.get(console, options, cell).maximum for cell in (column.header, *column.cells))


def new_table(*columns: str, right: Iterable[str] = (), grow: str = "") -> Table:
    """A table without borders; *right* are the columns of numbers, *grow* is the column that wraps."""
    table = _AiryTable(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, _BETWEEN - 1, 0, 0),
        header_style="bold",
        show_edge=False,
    )
    for column in columns:
        table.add_column(column, justify="right" if column in set(right) else "left", no_wrap=column != grow,
                         overflow="fold")  # fmt: skip
    return table


def headed(snapshot: Snapshot, *blocks: RenderableType) -> Group:
    """The verdict, the time of the snapshot, the blocks, and what was not measured."""
    bad = severity(snapshot)
    lines: list[RenderableType] = [
        Text(verdict(snapshot), style="bold" if bad is PathState.UP else f"bold {STYLES[bad]}"),
        Text(
            f"taken {moment(snapshot.taken_ns)}, every {duration(snapshot.interval_ns)}", style="bright_black"
        ),
    ]
    lines += [
        Text(f"! {cluster.name} is shown as last known: {cluster.away}", style="yellow")
        for cluster in snapshot.inventory.clusters
        if cluster.away
    ]
    for block in blocks:
        lines += [Text(""), block]
    if missing := unmeasured(snapshot):
        lines += [Text(""), Text(f"? not measured: {missing}", style="bright_black")]
    return Group(*lines)


# --- topology --------------------------------------------------------------------------------


def topology_table(snapshot: Snapshot) -> RenderableType:
    """Clusters with their nodes and agents, then every link in each direction."""
    graph = build_graph(snapshot)
    nodes = [(name, data) for name, data in graph.nodes(data=True) if data["kind"] == "node"]
    agents = {name: data for name, data in graph.nodes(data=True) if data["kind"] == "agent"}
    edges = find_links(graph)
    blocks: tuple[RenderableType, ...] = (_nodes_table(nodes, agents), _links_table(edges))
    if len(nodes) > MANY_NODES:
        blocks = (_large_nodes(nodes, agents), _large_links(edges))
    return headed(snapshot, *_headlines(snapshot), *blocks)


def _headlines(snapshot: Snapshot) -> Iterable[RenderableType]:
    """One line per finding, if the verdict does not name them all."""
    if len(snapshot.findings) > 2:
        names = Names.of(snapshot.inventory)
        lines = [
            f"{number}  {headline(finding, names)}" for number, finding in enumerate(snapshot.findings, 1)
        ]
        yield Group(*(Text(line) for line in lines))


def _nodes_table(nodes: list[tuple[str, dict[str, str]]], agents: Mapping[str, dict[str, str]]) -> Table:
    table = new_table("CLUSTER", "NODE", "ROLE", "STATE", "POD AGENT", "HOST AGENT")
    last = ""
    for name, data in nodes:
        cluster = data["cluster"]
        planes = [_agent_text(agents.get(f"{name}/{plane}")) for plane in ("pod", "host")]
        shown = cluster if cluster != last else ""
        table.add_row(shown, data["label"], data["role"], state_text(data["state"]), *planes)
        last = cluster
    return table


def _agent_text(agent: Mapping[str, str] | None) -> Text:
    return state_text(agent["presence"]) if agent else Text("none", style="bright_black")


def _links_table(edges: list[tuple[str, str, dict[str, str]]]) -> Table:
    is_claimed = any(data["claimed"] for _, _, data in edges)
    claimed = ("CLAIMED",) if is_claimed else ()
    table = new_table("FROM", "TO", "OVER", "STATE", *claimed, "RTT", "LOSS", right=("RTT", "LOSS"))
    for source, target, data in edges:
        rtt = duration(float(data["rtt_ms"]) * 1e6) if "rtt_ms" in data else "–"
        loss = percent(float(data["loss"])) if "loss" in data else "–"
        ends = (source.partition("/")[0], target.partition("/")[0])
        said = (data["claimed"] or "–",) if is_claimed else ()
        table.add_row(*ends, link_label(data), state_text(data["state"]), *said, rtt, loss)
    return table


def _large_nodes(
    nodes: list[tuple[str, dict[str, str]]], agents: Mapping[str, dict[str, str]]
) -> RenderableType:
    not_alive = {name for name, data in agents.items() if data["presence"] != AgentState.ALIVE}
    differing = [
        (name, data)
        for name, data in nodes
        if data["state"] != PathState.UP or not_alive & {f"{name}/pod", f"{name}/host"}
    ]
    clusters = {data["cluster"] for _, data in nodes}
    up = len(clusters - {data["cluster"] for _, data in differing})
    head = Text(
        f"{count(len(clusters), 'cluster')}, {count(len(nodes), 'node')}, {count(len(agents), 'agent')}; "
        f"every node is up in {count(up, 'cluster')}"
    )
    return Group(head, Text(""), _nodes_table(differing, agents)) if differing else head


def _large_links(edges: list[tuple[str, str, dict[str, str]]]) -> RenderableType:
    differing = [edge for edge in edges if edge[2]["state"] != PathState.UP]
    head = Text(f"{count(len(edges) - len(differing), 'link direction')} of {len(edges)} are up")
    return Group(head, Text(""), _links_table(differing)) if differing else head


# --- findings --------------------------------------------------------------------------------


def findings_table(snapshot: Snapshot) -> RenderableType:
    """Every open finding with its evidence and next step; then what has ended."""
    blocks: list[RenderableType] = [
        finding_block(number, finding, snapshot.taken_ns)
        for number, finding in enumerate(snapshot.findings, start=1)
    ]
    if snapshot.past_findings:
        blocks.append(_past_table(snapshot))
    return headed(snapshot, *blocks)


def finding_block(
    number: int, finding: Finding, now_ns: int, *, more: Iterable[tuple[str, str]] = ()
) -> RenderableType:
    """One finding with its evidence and next step; *more* are labelled lines before the next step."""
    title = Text.assemble(
        (f"{number}  ", "bright_black"),
        (str(finding.cause), "bold red"),
        f"   {percent(finding.confidence)} sure",
        (
            f"   since {moment(finding.first_seen_ns)} ({duration(now_ns - finding.first_seen_ns)})",
            "bright_black",
        ),
    )
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bright_black", no_wrap=True)
    rows.add_column(overflow="fold")
    for label, text in _finding_rows(finding, more):
        rows.add_row(label, text)
    return Group(title, Padding(rows, (0, 0, 0, 3)))


def _finding_rows(finding: Finding, more: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str | Text]]:
    yield "what", Text(str(finding.summary), style="bold")
    yield "where", list_parts(finding.components)
    if finding.loss is not None:
        yield "loss", percent(finding.loss)
    yield from _evidence_rows("for", finding.evidence_for)
    yield from _evidence_rows("against", finding.evidence_against)
    if finding.indistinguishable:
        yield "or", list_parts(finding.indistinguishable) + " (the checks cannot tell them apart)"
    if finding.hidden:
        yield "hides", list_parts(finding.hidden)
    if finding.affected:
        yield "hits", count(len(finding.affected), "path")
    yield from more
    if finding.next_step:
        yield "next", str(finding.next_step)


def _evidence_rows(label: str, evidence: tuple[Evidence, ...]) -> Iterable[tuple[str, str]]:
    for index, each in enumerate(evidence):
        yield label if index == 0 else "", str(each.text)


def list_parts(components: tuple[Component, ...], most: int = 6) -> str:
    """Components one per line, the first few of many."""
    lines = "\n".join(str(component) for component in components[:most])
    return lines + (f"\nand {len(components) - most} more" if len(components) > most else "")


def _past_table(snapshot: Snapshot) -> Table:
    table = new_table("ENDED", "LASTED", "CAUSE", "WHERE", grow="WHERE")
    table.title, table.title_justify, table.title_style = "Ended", "left", "bold"
    for finding in snapshot.past_findings:
        ended_ns = finding.ended_ns or finding.last_seen_ns
        table.add_row(
            f"{duration(snapshot.taken_ns - ended_ns)} ago",
            duration(ended_ns - finding.first_seen_ns) if ended_ns >= finding.first_seen_ns else "–",
            str(finding.cause),
            list_parts(finding.components, most=2),
        )
    return table


# --- agents and coverage ---------------------------------------------------------------------


def agents_table(snapshot: Snapshot) -> RenderableType:
    """Every agent and its liveness; in a large fleet only agents that are not alive."""
    known = {status.agent: status for status in snapshot.agents}
    every_agent = [
        known.get(agent, AgentStatus(agent, AgentState.ABSENT)) for agent in snapshot.inventory.iter_agents()
    ]
    shown = every_agent
    alive = sum(status.state is AgentState.ALIVE for status in every_agent)
    if len(every_agent) > 2 * MANY_NODES:
        shown = [status for status in every_agent if status.state is not AgentState.ALIVE]
    head = Text(f"{alive} of {count(len(every_agent), 'agent')} alive{_rejected_text(snapshot)}")
    return (
        headed(snapshot, head, _agents_table(shown, snapshot.taken_ns)) if shown else headed(snapshot, head)
    )


def _rejected_text(snapshot: Snapshot) -> str:
    if not snapshot.rejected:
        return ""
    total = sum(number for _, number in snapshot.rejected)
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in snapshot.rejected)
    return f"; {count(total, 'window')} not used: {reasons}"


def _agents_table(shown: list[AgentStatus], now_ns: int) -> Table:
    table = new_table("AGENT", "STATE", "REPORTED", "CHECKS", "LAG", "REASON",
                      right=("REPORTED", "CHECKS", "LAG"), grow="REASON")  # fmt: skip
    for status in shown:
        reported = f"{duration(now_ns - status.last_report_ns)} ago" if status.last_report_ns else "never"
        lag = duration(status.loop_lag_ns) if status.last_report_ns else "–"
        state, checks = state_text(status.state), str(status.checks)
        table.add_row(str(status.agent), state, reported, checks, lag, _agent_remarks(status))
    return table


def _agent_remarks(status: AgentStatus) -> str:
    reasons = [str(status.reason)] if status.reason else []
    if Capability.ICMP_NONE in status.capabilities:
        reasons.append("sends no ICMP")
    if status.disk_refuses:
        reasons.append("its disk refuses reports; those that wait are in memory")
    if status.clock_offset_ns:
        side = "ahead" if status.clock_offset_ns > 0 else "behind"
        reasons.append(f"its clock is {duration(abs(status.clock_offset_ns))} {side}")
    if status.windows_spooled:
        reasons.append(f"{status.windows_spooled} windows waiting for the bus")
    if status.windows_dropped:
        reasons.append(f"{status.windows_dropped} windows lost")
    return "; ".join(reasons)


def coverage_table(snapshot: Snapshot) -> RenderableType:
    """Components that the checks cross, those they miss, and those they cannot tell apart."""
    coverage = snapshot.coverage
    blocks: list[RenderableType] = [_coverage_facts(snapshot)]
    if coverage.uncovered:
        blocks.append(_named_list("No check crosses", [(str(part)) for part in coverage.uncovered]))
    if coverage.unjoined:
        pairs = [f"{one} – {other}" for one, other in coverage.unjoined]
        blocks.append(_named_list("Not connected by links or transit clusters, so not checked", pairs))
    if coverage.zones_uncrossed:
        pairs = [f"{one} → {other}" for one, other in coverage.zones_uncrossed]
        blocks.append(_named_list("Zone pairs that no check of this epoch crosses", pairs))
    if coverage.classes:
        lines = [" = ".join(str(part) for part in group) for group in coverage.classes]
        blocks.append(_named_list("Cannot be told apart", lines))
    if coverage.traffic:
        blocks.append(class_table(coverage.traffic))
    if coverage.traffic_gaps:
        blocks.append(_named_list("Classes not told apart", describe_gaps(coverage.traffic_gaps)))
    if snapshot.checks and (unasked := find_unasked(snapshot.inventory, snapshot.checks)):
        blocks.append(_named_list("No check asks, so no finding can say", describe_unasked(unasked)))
    if coverage.splitting:
        lines = [f"{each.source} → {each.target}  {each.bits:.2f} bits" for each in coverage.splitting]
        blocks.append(_named_list("Further checks that would tell them apart, most useful first", lines))
    return headed(snapshot, *blocks)


def _coverage_facts(snapshot: Snapshot) -> RenderableType:
    coverage = snapshot.coverage
    facts = Table.grid(padding=(0, 2))
    facts.add_column(justify="right")
    facts.add_column()
    facts.add_row(f"{coverage.checks or len(snapshot.checks):,}", "checks per interval")
    facts.add_row(f"{coverage.components:,}", "components that can break")
    facts.add_row(
        f"{coverage.covered:,}", f"crossed by a check{_share(coverage.covered, coverage.components)}"
    )
    facts.add_row(
        f"{coverage.identifiable:,}",
        f"told apart from every other{_share(coverage.identifiable, coverage.components)}",
    )
    if coverage.zone_pairs:
        crossed = coverage.zone_pairs - len(coverage.zones_uncrossed)
        facts.add_row(f"{crossed:,}", f"of {coverage.zone_pairs:,} zone pairs within a cluster are crossed")
    if coverage.left_out:
        facts.add_row(f"{coverage.left_out:,}", "variants of checks left out by the budgets in this epoch")
    return facts


def _share(number: int, total: int) -> str:
    return f" ({percent(number / total)})" if total else ""


def _named_list(title: str, entries: list[str], most: int = 12) -> RenderableType:
    shown = [Text(f"  {entry}") for entry in entries[:most]]
    more = [Text(f"  and {len(entries) - most} more", style="bright_black")] if len(entries) > most else []
    return Group(Text(title, style="bold"), *shown, *more)
