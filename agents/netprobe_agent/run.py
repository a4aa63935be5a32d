"""``netprobe-agent run``: run a plan without a bus and write its results as JSON lines."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import msgspec

from netprobe.engine.engine import Engine
from netprobe.errors import InputError, SystemRefusedError
from netprobe.model.check import Plan
from netprobe.model.window import Measured
from netprobe.wire.messages import share_values
from netprobe_agent.gc_tuning import GcTuning
from netprobe_agent.questions import Network, is_allowed

_MAX_PLAN_BYTES = 64 * 1024 * 1024


def read_plan(path: Path) -> Plan:
    """Read a plan from JSON; :class:`InputError` names the file and the field."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if len(raw) > _MAX_PLAN_BYTES:
        raise InputError(f"is {len(raw)} bytes; the limit is {_MAX_PLAN_BYTES}", where=str(path))
    try:
        plan = msgspec.json.decode(raw, type=Plan)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(str(error), where=str(path)) from error
    if plan.interval_ns < 1_000_000:
        raise InputError("interval_ns: is less than a millisecond", where=str(path))
    return share_values(plan)


def restrict(plan: Plan, allowed: tuple[Network, ...]) -> tuple[Plan, list[str]]:
    """The plan without targets outside its peers and the allow-list, and errors for the checks left out.

    Without an allow-list, every target of the plan is allowed.
    """
    if not allowed:
        return plan, []
    peers_only = replace(plan, checks=(), askable=())
    kept, refused = [], []
    for check in plan.checks:
        if is_allowed(check.target.address, peers_only, allowed):
            kept.append(check)
        else:
            refused.append(f"check {check.id}: {check.target.address} is not on the allow-list")
    return replace(plan, checks=tuple(kept)), refused


async def run(
    plan: Plan,
    *,
    port: int,
    intervals: int | None,
    write: Callable[[Measured], None],
    errors: TextIO = sys.stderr,
) -> None:
    """Run *plan*; *write* is called once per interval."""
    gc_tuning = GcTuning()

    def deliver(measured: Measured) -> None:
        write(measured)
        gc_tuning.end_interval()

    async with Engine(plan.agent, boot=secrets.token_hex(8), port=port) as engine:
        engine.use(plan)
        for check, reason in engine.unaskable.items():
            print(f"netprobe-agent: check {check}: {reason}", file=errors)
        await engine.run(deliver, intervals=intervals)


def open_output(name: str) -> TextIO:
    """Open standard output for ``-``, else a new file."""
    if name == "-":
        return sys.stdout
    try:
        return Path(name).open("w", encoding="utf-8")
    except OSError as error:
        raise SystemRefusedError(f"{name}: cannot be written: {error.strerror}") from error
