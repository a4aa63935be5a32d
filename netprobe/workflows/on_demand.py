"""Ask now what was not measured: a few on-demand checks by agents that are there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from netprobe.analysis.queries.slow_probes import ProbePath, ProbeResult, read_probe_symptoms
from netprobe.bus.operator import Access, ask_check
from netprobe.echo import echo
from netprobe.errors import NetprobeError
from netprobe.model.check import Check
from netprobe.render.labels import begin_large, duration
from netprobe.render.terminal.probe_facts import describe_facts
from netprobe.wire.messages import CheckAnswer, Declined, OutcomeDetail, Reply
from netprobe.workflows.recordings import PacketBook

BUS_S = 10.0
"""What the way over the bus may add to a question's own time."""
_LONG_S = 15.0
_FACTS = 6


def patience_s(checks: Sequence[Check]) -> float:
    """How long answers to *checks*, asked at once, may take; a long time is announced to the user."""
    asked_s = max(check.probe.timeout_ns / 1e9 * check.count for check in checks)
    if asked_s > _LONG_S:
        echo(f"netprobe: asking; this may take {duration(asked_s * 1e9)}", err=True)
    return asked_s + BUS_S


def ask_now(
    access: Access, checks: Sequence[Check], *, timeout_s: float = 8.0, book: PacketBook | None = None
) -> tuple[str, ...]:
    """Ask every check once, all at the same time; one line for each answer, refusal or silence."""
    replies = ask_all(access, checks, timeout_s=timeout_s, book=book)
    return tuple(_say(check, reply) for check, reply in zip(checks, replies, strict=True))


def ask_patiently(
    access: Access, way: ProbePath, checks: Sequence[Check], *, book: PacketBook | None = None
) -> tuple[str, ...]:
    """Ask with patience, all at the same time: one line for each answer, then what the table says to them."""
    replies = ask_all(access, checks, timeout_s=patience_s(checks), book=book)
    answered = [
        (c, reply) for c, reply in zip(checks, replies, strict=True) if isinstance(reply, CheckAnswer)
    ]
    told = [
        ProbeResult(c, a.outcomes, a.details[0] if a.details else OutcomeDetail())
        for c, a in answered
        if a.outcomes
    ]
    meaning = [
        f"row {found.row.id}, {found.cause} ({found.row.confidence:.2f}): {found.summary} "
        f"{begin_large(found.evidence[0].text)}. {found.row.next_step}"
        for found in read_probe_symptoms(told, way)
    ]
    return (*(_say(check, reply) for check, reply in zip(checks, replies, strict=True)), *meaning)


def ask_all(
    access: Access, checks: Sequence[Check], *, timeout_s: float, book: PacketBook | None = None
) -> list[Reply | NetprobeError]:
    """Ask every check once, all at the same time; *book* takes the packets."""

    async def ask_them() -> list[Reply | NetprobeError]:
        return await asyncio.gather(
            *(_ask(access, check, timeout_s, is_recorded=book is not None) for check in checks)
        )

    replies = asyncio.run(ask_them())
    for reply in replies:
        if book is not None and isinstance(reply, CheckAnswer):
            book.take(reply.agent, reply.recording)
    return replies


async def _ask(access: Access, check: Check, timeout_s: float, *, is_recorded: bool) -> Reply | NetprobeError:
    try:
        return await ask_check(access, check, asked_by="why", timeout_s=timeout_s, is_recorded=is_recorded)
    except NetprobeError as error:
        return error


def _say(check: Check, reply: Reply | NetprobeError) -> str:
    what = f"{check.source} {check.probe.kind} {check.target.name}"
    what += f" ({check.probe.size} bytes)" if check.probe.size else ""
    match reply:
        case NetprobeError():
            return f"{what}: not asked: {reply}"
        case Declined():
            return f"{what}: declined: {reply.reason}"
        case CheckAnswer():
            counts = Counter(str(outcome.kind) for outcome in reply.outcomes)
            said = ", ".join(f"{kind} {counts[kind]}" for kind in sorted(counts)) or "no outcome"
            facts = [
                f"{name}: {text}"
                for detail in reply.details
                for name, text in describe_facts(check.probe.kind, detail)
            ]
            return f"{what}: " + "; ".join((said, *facts[:_FACTS]))
