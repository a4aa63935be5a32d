"""Asking now what nobody measured: a few checks on demand, by agents that are there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from netprobe.bus.ask import Access, ask_check
from netprobe.errors import NetprobeError
from netprobe.model.check import Check
from netprobe.wire.messages import Declined


def ask_now(access: Access, checks: Sequence[Check], *, timeout_s: float = 8.0) -> tuple[str, ...]:
    """Ask every check once, all at the same time; one line for each answer, refusal or silence."""

    async def ask_all() -> list[str]:
        return await asyncio.gather(*(_ask(access, check, timeout_s) for check in checks))

    return tuple(asyncio.run(ask_all()))


async def _ask(access: Access, check: Check, timeout_s: float) -> str:
    what = f"{check.source} {check.probe.kind} {check.target.name}"
    what += f" ({check.probe.size} bytes)" if check.probe.size else ""
    try:
        reply = await ask_check(access, check, asked_by="why", timeout_s=timeout_s)
    except NetprobeError as error:
        return f"{what}: not asked: {error}"
    if isinstance(reply, Declined):
        return f"{what}: declined: {reply.reason}"
    counts = Counter(str(outcome.kind) for outcome in reply.outcomes)
    return f"{what}: " + (", ".join(f"{kind} {counts[kind]}" for kind in sorted(counts)) or "no outcome")
