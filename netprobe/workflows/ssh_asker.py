"""Asking from plain hosts over SSH with their own tools, where no agent runs: coarser, and marked so."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netprobe.discovery.ssh.connection import SshHost, open_host
from netprobe.discovery.ssh.errors import HostOutputError, SshError
from netprobe.discovery.ssh.fallback_tools import ToolResult, ask_with_tools
from netprobe.model.names import AgentId
from netprobe.model.outcome import NotMeasured, Outcome, Reached, Refused, Rejected, TimedOut
from netprobe.model.prose import Prose
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import PORTED, PortVerdict, Transport, Verdict
from netprobe.probes.observation import describe
from netprobe.probes.ports import port_targets_of, write_facts, write_values
from netprobe.wire.messages import CheckAnswer, Declined, OutcomeDetail, Refusal
from netprobe.workflows.ssh_hosts import HOST_S

if TYPE_CHECKING:
    from netprobe.model.check import Check
    from netprobe.model.intent import CellResult
    from netprobe.model.ssh import SshAccess
    from netprobe.wire.asker import Asker
    from netprobe.wire.messages import Reply

COARSER = "the host's own {tool} over SSH: coarser than an agent"
_DOOR_S = 6.0
"""What one port may take on a host that answers; a silent port takes three seconds."""
_MOST_DOORS = 256
"""Most ports of one question: a tool asks one at a time."""


@dataclass(frozen=True, slots=True)
class HostsAsker:
    """Hosts asked with their own tools (``wire.asker.Asker``), and everybody else as *agents* does."""

    ways: Mapping[AgentId, SshAccess]
    agents: Asker | None = None
    done: Callable[[object], None] = lambda _: None
    """Called with each host that is through."""

    async def ask(self, source: AgentId, checks: Sequence[Check]) -> tuple[Reply, ...]:
        """One reply per check, in order; a host that cannot be reached declines them all."""
        way = self.ways.get(source)
        if way is None:
            if self.agents is not None:
                return await self.agents.ask(source, checks)
            why = Prose(f"{source.node_id} is not reached over SSH")
            return tuple(Declined(source, why, Refusal.NOT_REACHED) for _ in checks)
        patience_s = HOST_S + _DOOR_S * sum(_count_doors(check) for check in checks)
        try:
            async with asyncio.timeout(patience_s), open_host(way) as host:
                return tuple([await _ask(host, check) for check in checks])
        except (SshError, TimeoutError) as error:
            why = Prose(str(error) or f"{way.target}: not done within {patience_s:g} s")
            return tuple(Declined(source, why, Refusal.NOT_REACHED) for _ in checks)
        finally:
            self.done(source)


def mark_coarser(judged: Sequence[CellResult], ways: Mapping[AgentId, SshAccess]) -> tuple[CellResult, ...]:
    """The same verdicts; those that a host's own tools gave say so."""
    mark = " (" + COARSER.format(tool="tools") + ")"
    return tuple(
        replace(one, reason=Prose(f"{one.reason}{mark}")) if one.cell.source in ways else one
        for one in judged
    )


async def _ask(host: SshHost, check: Check) -> CheckAnswer:
    if check.probe.kind == "ports":
        return await _ask_doors(host, check)
    told = await _ask_one(host, check.probe.kind, check.target.address, check.probe.port)
    marked = (("asked with", Prose(COARSER.format(tool=told.tool))), *told.facts) if told.tool else told.facts
    return CheckAnswer(check.source, check.id, (told.outcome,), (OutcomeDetail(facts=marked),))


async def _ask_one(host: SshHost, kind: str, address: str, port: int) -> ToolResult:
    try:
        return await ask_with_tools(host, kind, ipaddress.ip_address(address), port)
    except HostOutputError as error:
        return ToolResult(NotMeasured(Prose(str(error))), "")


Door = tuple[str, Transport, int]


def _doors_of(check: Check) -> Iterator[Door]:
    for asked in port_targets_of(check):
        if asked.icmp:
            yield asked.address, Transport.ICMP, 0
        for transport in PORTED:
            yield from ((asked.address, transport, port) for port in asked.of(transport))
        yield from ((asked.address, Transport.UDP, port) for port in asked.agents)


def _count_doors(check: Check) -> int:
    return min(_MOST_DOORS, sum(1 for _ in _doors_of(check))) if check.probe.kind == "ports" else 1


async def _ask_doors(host: SshHost, check: Check) -> CheckAnswer:
    verdicts = []
    for number, (address, transport, port) in enumerate(_doors_of(check)):
        if number >= _MOST_DOORS:
            told: Outcome = NotMeasured(
                Prose(f"more than {_MOST_DOORS} ports: a host without an agent asks one by one")
            )
        else:
            told = (await _ask_one(host, str(transport), address, port)).outcome
        verdicts.append(_verdict_of(address, transport, port, told))
    answered = any(one.verdict in (Verdict.OPEN, Verdict.CLOSED) for one in verdicts)
    outcome: Outcome = Reached(0) if answered else TimedOut(check.probe.timeout_ns)
    detail = OutcomeDetail(facts=write_facts(verdicts), values=write_values(verdicts))
    return CheckAnswer(check.source, check.id, (outcome,), (detail,))


def _verdict_of(address: str, transport: Transport, port: int, outcome: Outcome) -> PortVerdict:
    match outcome:
        case Reached():
            return PortVerdict(address, transport, port, Verdict.OPEN)
        case Refused():
            return PortVerdict(address, transport, port, Verdict.CLOSED)
        case Rejected(sender, icmp_type, icmp_code):
            return PortVerdict(address, transport, port, Verdict.REJECTED, sender, icmp_type, icmp_code)
        case TimedOut():
            return PortVerdict(address, transport, port, Verdict.FILTERED)
        case NotMeasured(reason):
            why = Reason(ReasonCode.NOT_SENT, detail=reason)
            return PortVerdict(address, transport, port, Verdict.UNKNOWN, reason=why)
        case _:
            why = Reason(ReasonCode.OTHER, detail=describe(outcome))
            return PortVerdict(address, transport, port, Verdict.UNKNOWN, reason=why)
