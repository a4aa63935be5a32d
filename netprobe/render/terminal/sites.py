"""Status of SSH hosts: which answer, what each runs, and what it reports about tunnels and problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table

from netprobe.analysis.gateway_evidence.statements import count_refused, format_fact
from netprobe.deploy.hosts.agent import InstalledAgent, RunMode
from netprobe.discovery.ssh.status import HostStatus
from netprobe.model.gateway import (
    ChosenRoute,
    ConnectionTable,
    Fact,
    IpsecRefusals,
    LinkCounters,
    PolicyRules,
    Reading,
    ReversePath,
    RuleCounter,
    TunnelPeer,
)
from netprobe.render.documents.snapshot import VERSION, Document
from netprobe.render.labels import count, duration
from netprobe.render.terminal.console import Text
from netprobe.render.terminal.tables import STYLES, new_table

_MOST_LINES = 8
"""Largest number of facts per host in the table; the document has all."""


@dataclass(frozen=True, slots=True)
class HostRow:
    """One host: what it reported, or the error."""

    name: str
    address: str
    jumps: tuple[str, ...]
    status: HostStatus | None
    reading: Reading | None
    error: str | None
    agent: InstalledAgent | None = None


def sites_table(rows: Sequence[HostRow]) -> RenderableType:
    """Hosts that do not answer first, then the table, then what each host reports."""
    answering = [row for row in rows if row.error is None]
    failed = [row for row in rows if row.error is not None]
    style = "bold" if not failed else f"bold {STYLES['down']}"
    blocks: list[RenderableType] = [
        Text(f"{len(answering)} of {count(len(rows), 'host')} answer", style=style)
    ]
    if failed:
        blocks += [
            Text(""),
            Padding(_grid((f"✕ {row.name}", row.error or "") for row in failed), (0, 0, 0, 1)),
        ]
    if answering:
        blocks += [Text(""), _overview(answering), Text("")]
        blocks += [block for row in answering for block in _details(row)]
    return Group(*blocks)


def _overview(rows: Sequence[HostRow]) -> Table:
    table = new_table("HOST", "UP", "PYTHON", "AGENT", "TOOLS", right=("UP",), grow="TOOLS")
    for row in rows:
        if row.status is not None:
            up = duration(row.status.uptime_s * 1e9)
            table.add_row(
                row.name, up, _python(row.status), _agent(row.agent), " ".join(row.status.tools) or "–"
            )
    return table


def _agent(agent: InstalledAgent | None) -> Text:
    match agent:
        case None:
            return Text("–")
        case InstalledAgent(runs=RunMode.NO):
            return Text("stopped", style="yellow")
        case _:
            return Text("runs")


def _python(status: HostStatus) -> Text:
    if status.python is None:
        return Text("none", style="yellow")
    major, minor = status.python
    return Text(f"{major}.{minor}", style="" if status.runs_agents else "yellow")


def _details(row: HostRow) -> Iterator[RenderableType]:
    if row.status is None or row.reading is None:
        return
    path = " → ".join((*row.jumps, row.address))
    facts = [_format_fact(fact) for fact in row.reading.facts if _is_shown(fact)]
    more = len(facts) - _MOST_LINES
    lines = [("key", row.status.host_key), ("path", path), *(("·", line) for line in facts[:_MOST_LINES])]
    lines += [("·", f"and {more} more; -o json has them all")] if more > 0 else []
    yield Text(row.name, style="bold")
    yield Padding(_grid(lines), (0, 0, 1, 1))


def _format_fact(fact: Fact) -> str:
    """One sentence; a tunnel is named, because a gateway can have several."""
    if isinstance(fact, TunnelPeer):
        return f"{fact.interface}{f' to {fact.endpoint}' if fact.endpoint else ''}: {format_fact(fact)}"
    return format_fact(fact)


def _is_shown(fact: Fact) -> bool:
    """Whether the table shows this fact: tunnels, the chosen route, and problems."""
    match fact:
        case TunnelPeer() | ChosenRoute():
            return True
        case ConnectionTable(entries, limit):
            return 2 * entries >= limit or count_refused(fact) > 0
        case LinkCounters(receive_dropped=received, send_dropped=sent, errors=errors):
            return bool(received or sent or errors)
        case RuleCounter(verdict=verdict, packets=packets):
            return verdict in ("drop", "reject") and packets > 0
        case PolicyRules(number) | IpsecRefusals(number):
            return number > 0
        case ReversePath(mode=mode):
            return mode == 1


def _grid(lines: Iterator[tuple[str, str]] | Sequence[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for mark, text in lines:
        grid.add_row(mark, Text(text))
    return grid


def sites_document(rows: Sequence[HostRow]) -> Document:
    """``netprobe/sites``: ``hosts[]`` with ``answers``, ``error``, what each is, and its ``facts[]``."""
    return {
        "schema": "netprobe/sites",
        "version": VERSION,
        "hosts": [_host_document(row) for row in rows],
    }


def _host_document(row: HostRow) -> Document:
    status, reading = row.status, row.reading
    return {
        "host": row.name,
        "address": row.address,
        "jumps": list(row.jumps),
        "answers": row.error is None,
        "error": row.error,
        "host_key": status.host_key if status else None,
        "uptime_s": status.uptime_s if status else None,
        "kernel": status.kernel if status else None,
        "python": list(status.python) if status and status.python else None,
        "runs_agents": status.runs_agents if status else None,
        "tools": list(status.tools) if status else None,
        "agent": asdict(row.agent) if row.agent else None,
        "facts": [
            {"kind": type(fact).__name__, "says": format_fact(fact), **asdict(fact)} for fact in reading.facts
        ]
        if reading
        else None,
        "silent": list(reading.silent) if reading else None,
    }


def deploy_table(results: Mapping[str, InstalledAgent | Exception | None], *, done: str) -> RenderableType:
    """Failures first, then the agents in place; *done* names the operation, such as ``deployed``."""
    failed = {name: str(result) for name, result in results.items() if isinstance(result, Exception)}
    style = "bold" if not failed else f"bold {STYLES['down']}"
    head = f"{len(results) - len(failed)} of {count(len(results), 'agent')} {done}"
    blocks: list[RenderableType] = [Text(head, style=style)]
    if failed:
        blocks += [Text(""), Padding(_grid((f"✕ {name}", why) for name, why in failed.items()), (0, 0, 0, 1))]
    placed = [result for result in results.values() if isinstance(result, InstalledAgent)]
    if placed:
        table = new_table("AGENT", "RUNS AS", "BUS", "ARCHIVE", grow="BUS")
        for agent in placed:
            how = "systemd unit" if agent.runs is RunMode.SYSTEMD else str(agent.runs)
            table.add_row(agent.agent, how, agent.bus, agent.sha256[:12])
        blocks += [Text(""), table]
    return Group(*blocks)


def deploy_document(results: Mapping[str, InstalledAgent | Exception | None]) -> Document:
    """``netprobe/deploy``: ``hosts[]`` with the agent that runs there now, or the error."""
    return {
        "schema": "netprobe/deploy",
        "version": VERSION,
        "hosts": [
            {
                "host": name,
                "error": str(result) if isinstance(result, Exception) else None,
                "agent": asdict(result) if isinstance(result, InstalledAgent) else None,
            }
            for name, result in results.items()
        ],
    }
