"""Verdicts on who answers an echo, by ICMP and at agents' own UDP port, many addresses at once.

A silence counts after :data:`TRIES` tries; whether it is a denial is for somebody to say who knows what else
the address answered.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

import numpy as np

from netprobe.engine.sweep.ports import OWN_FILTER, SILENT, with_witnesses
from netprobe.engine.sweep.questions import Code, Kind, Questions, RoundResult
from netprobe.engine.sweep.sweep import Pace, Sweep
from netprobe.model.verdict import PortVerdict, Transport, Verdict
from netprobe.wire.batch import Indices, address_text

TRIES = 3
_TIMEOUT_NS = 500_000_000
_KINDS = {Kind.ICMP: Transport.ICMP, Kind.STAMP: Transport.UDP}


def sweep_echoes(
    agents: Sequence[tuple[str, int]], icmp: Sequence[str], *, key: bytes, rate: float
) -> list[PortVerdict]:
    """Ask *agents* at their ports, with the plan's *key*, and the addresses of *icmp* for an ICMP echo.

    A silent row is ``filtered`` where the same address answered another, else ``unknown``. The reason of an
    agent's ``open`` port is the name it gave.
    """
    agents, icmp = list(dict.fromkeys(agents)), list(dict.fromkeys(icmp))
    asked = [
        Questions.of(Kind.STAMP, [host for host, _ in agents], ports=[port for _, port in agents]),
        Questions.of(Kind.ICMP, icmp),
    ]
    questions = asked[0].plus(asked[1])
    told: dict[int, PortVerdict] = {}
    with Sweep(questions, key=key) as sweep:
        rows: Indices = np.arange(len(questions))
        for _ in range(TRIES):
            result = sweep.ask(Pace(rate=rate, timeout_ns=_TIMEOUT_NS), rows=rows)
            told |= {int(row): _verdict(questions, result, int(row)) for row in rows}
            rows = np.array([row for row in rows if _is_open_question(told[int(row)])], dtype=np.int64)
            if not len(rows):
                break
    return with_witnesses(told.values())


def _is_open_question(one: PortVerdict) -> bool:
    return one.verdict is Verdict.UNKNOWN


def _verdict(questions: Questions, result: RoundResult, row: int) -> PortVerdict:
    address, port = address_text(questions.addresses[row]), int(questions.ports[row])
    transport = _KINDS[Kind(int(questions.kinds[row]))]
    code = Code(int(result.codes[row]))
    sender = address_text(result.senders[row])
    match code:
        case Code.REACHED:
            name = result.stamps.name(row) if result.stamps and transport is Transport.UDP else ""
            return PortVerdict(address, transport, port, Verdict.OPEN, reason=name)
        case Code.REFUSED:
            return PortVerdict(address, transport, port, Verdict.CLOSED)
        case Code.REJECTED | Code.TOO_BIG:
            kind, icmp_code = int(result.types[row]), int(result.icmp_codes[row])
            return PortVerdict(address, transport, port, Verdict.REJECTED, sender, kind, icmp_code)
        case Code.WRONG_PEER:
            why = f"{sender} answered instead"
        case Code.TIMED_OUT:
            why = SILENT
        case _ if result.errnos[row] == errno.EPERM:
            return PortVerdict(address, transport, port, Verdict.FILTERED, reason=OWN_FILTER)
        case _:
            why = "our own machine would not send"
    return PortVerdict(address, transport, port, Verdict.UNKNOWN, reason=why)
