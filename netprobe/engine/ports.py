"""The shell of ``ports``: one sweep per transport and one of echoes, in a thread of its own."""

from __future__ import annotations

import asyncio
import random
import time

from netprobe.engine.clock import Clock
from netprobe.engine.sctp import ask_sctp
from netprobe.errors import SurroundingsError
from netprobe.model.check import Check
from netprobe.model.outcome import NotMeasured, Reached, TimedOut
from netprobe.model.verdict import PORTED, PortVerdict, Transport, Verdict
from netprobe.probes.ports import addresses_of, agent_ports_of, asks_echo, ports_of, write_facts
from netprobe.probes.seen import Seen

RATE = 10_000.0
"""Packets per second: one agent's budget."""


async def ask_ports(check: Check, clock: Clock, key: bytes, rng: random.Random) -> Seen:
    """Verdicts on every door that *check* names; never longer than its time."""
    del clock
    return await asyncio.to_thread(_sweep, check, key, rng.getrandbits(32))


def _sweep(check: Check, key: bytes, seed: int) -> Seen:
    # Arrays load when they are asked for.
    from netprobe.engine.sweep.ports import sweep_ports, with_witnesses  # noqa: PLC0415

    began_ns = time.monotonic_ns()
    verdicts = _sweep_echoes(check, key)
    for transport in PORTED:
        ports = ports_of(check.probe, transport)
        left_ns = began_ns + check.probe.timeout_ns - time.monotonic_ns()
        if not ports:
            continue
        try:
            swept = sweep_ports(
                addresses_of(check), ports, transport, rate=RATE, within_ns=max(left_ns, 1), seed=seed
            )
        except SurroundingsError as error:
            verdicts += _unasked(check, ports, transport, str(error))
            continue
        verdicts += map(swept.verdict, range(len(swept.verdicts)))
    verdicts += ask_sctp(addresses_of(check), ports_of(check.probe, Transport.SCTP))
    verdicts = with_witnesses(verdicts)  # an echo may be the only answer, where connecting asks the ports
    took_ns = time.monotonic_ns() - began_ns
    return Seen(_outcome(verdicts, took_ns), facts=write_facts(verdicts))


def _sweep_echoes(check: Check, key: bytes) -> list[PortVerdict]:
    from netprobe.engine.sweep.echoes import sweep_echoes  # noqa: PLC0415 - arrays load when asked for

    agents, icmp = agent_ports_of(check.probe), asks_echo(check.probe)
    if not agents and not icmp:
        return []
    try:
        return sweep_echoes(addresses_of(check), agents, with_icmp=icmp, key=key, rate=RATE)
    except SurroundingsError as error:
        told = _unasked(check, agents, Transport.UDP, str(error))
        return [*told, *(_unasked(check, (0,), Transport.ICMP, str(error)) if icmp else ())]


def _unasked(check: Check, ports: tuple[int, ...], transport: Transport, why: str) -> list[PortVerdict]:
    reason = f"our own machine would not send: {why}"
    return [
        PortVerdict(address, transport, port, Verdict.UNKNOWN, reason=reason)
        for address in addresses_of(check)
        for port in ports
    ]


def _outcome(verdicts: list[PortVerdict], took_ns: int) -> Reached | TimedOut | NotMeasured:
    if any(one.verdict in {Verdict.OPEN, Verdict.CLOSED} for one in verdicts):
        return Reached(took_ns)
    if verdicts and all(one.reason.startswith("our own machine") for one in verdicts):
        return NotMeasured(verdicts[0].reason)
    return TimedOut(took_ns)
