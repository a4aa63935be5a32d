"""Drives ``ports``: a sweep of echoes, then one per transport in parallel, in threads of their own."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from netprobe.engine.clock import Clock
from netprobe.engine.drivers.sctp import ask_sctp
from netprobe.engine.keyring import Keyring
from netprobe.errors import SystemRefusedError
from netprobe.model.capability import Capability
from netprobe.model.check import Check
from netprobe.model.outcome import NotMeasured, Reached, TimedOut
from netprobe.model.prose import Prose
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import PORTED, PortVerdict, Transport, Verdict
from netprobe.probes.observation import Observation
from netprobe.probes.ports import PortTargets, port_targets_of, tries_of, write_facts, write_values
from netprobe.probes.wording import describe_reason

RATE = 10_000.0
"""Packets per second: one agent's budget."""


def find_capability() -> Capability:
    """How TCP ports are asked here, found by trying; nothing is sent."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP).close()
    except OSError:
        return Capability.CONNECT
    return Capability.SYN_RAW


async def ask_ports(check: Check, clock: Clock, keys: Keyring, rng: random.Random) -> Observation:
    """Verdicts on every port that *check* names, within its timeout."""
    del clock
    return await asyncio.to_thread(_ask, check, keys, rng.getrandbits(32))


def _ask(check: Check, keys: Keyring, seed: int) -> Observation:
    from netprobe.engine.sweep.ports import with_witnesses  # noqa: PLC0415 - arrays load when asked for

    began_ns = time.monotonic_ns()
    doors = port_targets_of(check)
    verdicts = _sweep_echoes(doors, keys)
    asked = [transport for transport in PORTED if any(one.of(transport) for one in doors)]
    left_ns = max(1, began_ns + check.probe.timeout_ns - time.monotonic_ns())
    rate, tries = RATE / max(1, len(asked)), tries_of(check.probe)
    sweep = partial(_sweep, doors, tries=tries, rate=rate, within_ns=left_ns, seed=seed)
    with ThreadPoolExecutor(max_workers=len(PORTED)) as beside:  # what takes long is to wait for silence
        for told in beside.map(sweep, asked):
            verdicts += told
    verdicts += ask_sctp([(one.address, port) for one in doors for port in one.of(Transport.SCTP)])
    verdicts = with_witnesses(verdicts)  # an echo may be the only answer, where connecting asks the ports
    took_ns = time.monotonic_ns() - began_ns
    outcome = _outcome(verdicts, took_ns)
    return Observation(outcome, facts=write_facts(verdicts), values=write_values(verdicts))


def _sweep(
    doors: tuple[PortTargets, ...],
    transport: Transport,
    *,
    tries: int,
    rate: float,
    within_ns: int,
    seed: int,
) -> list[PortVerdict]:
    from netprobe.engine.sweep.port_scan_policy import RetryPolicy  # noqa: PLC0415 - arrays load when they are asked for
    from netprobe.engine.sweep.ports import sweep_doors  # noqa: PLC0415

    asked = {one.address: tuple(dict.fromkeys(one.of(transport))) for one in doors if one.of(transport)}
    try:
        swept = sweep_doors(
            asked, transport, rate=rate, patience=RetryPolicy(tries=tries), within_ns=within_ns, seed=seed
        )
    except SystemRefusedError as error:
        return _unasked([(one, port) for one, ports in asked.items() for port in ports], transport, error)
    return list(map(swept.verdict, range(len(swept.verdicts))))


def _sweep_echoes(doors: tuple[PortTargets, ...], keys: Keyring) -> list[PortVerdict]:
    from netprobe.engine.sweep.echo_scan import sweep_echoes  # noqa: PLC0415 - arrays load when asked for

    asked = [(one.address, port) for one in doors for port in one.agents]
    agents = [pair for pair in asked if keys.has_seal_at(pair[0])]
    keyless = SystemRefusedError("the plan holds no key for an agent at this address")
    unasked = _unasked([pair for pair in asked if pair not in agents], Transport.UDP, keyless)
    icmp = [one.address for one in doors if one.icmp]
    if not agents and not icmp:
        return unasked
    try:
        return [*unasked, *sweep_echoes(agents, icmp, seal_at=keys.seal_at, rate=RATE)]
    except SystemRefusedError as error:
        told = [*unasked, *_unasked(agents, Transport.UDP, error)]
        return [*told, *_unasked([(address, 0) for address in icmp], Transport.ICMP, error)]


def _unasked(
    pairs: list[tuple[str, int]], transport: Transport, error: SystemRefusedError
) -> list[PortVerdict]:
    reason = Reason(ReasonCode.NOT_SENT, detail=Prose(str(error)))
    return [PortVerdict(address, transport, port, Verdict.UNKNOWN, reason=reason) for address, port in pairs]


def _outcome(verdicts: list[PortVerdict], took_ns: int) -> Reached | TimedOut | NotMeasured:
    if any(one.verdict in {Verdict.OPEN, Verdict.CLOSED} for one in verdicts):
        return Reached(took_ns)
    reasons = [one.reason for one in verdicts if one.reason is not None and one.reason.is_own_side]
    if reasons and len(reasons) == len(verdicts):
        return NotMeasured(describe_reason(reasons[0]))
    return TimedOut(took_ns)
