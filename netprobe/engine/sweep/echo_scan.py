"""Echo verdicts of many addresses at once: by ICMP, and at agents' own UDP port.

Rule: silence counts after :data:`TRIES` tries in which an answer could have been received; whether it is a
drop depends on the other answers of the address. An answer counts even if it is late.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable, Sequence

import numpy as np

from netprobe.engine.sweep.adaptive_timeout import AdaptiveTimeout
from netprobe.engine.sweep.ports import NOT_SENT, OWN_FILTER, SILENT_HOST, with_witnesses
from netprobe.engine.sweep.sweep import Sweep, SweepSettings
from netprobe.engine.sweep.targets import (
    ResultCode,
    RoundResult,
    SweepAnswers,
    SweepTargets,
    TargetProtocol,
)
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import PortVerdict, Transport, Verdict
from netprobe.wire.batch import Indices, address_text
from netprobe.wire.stamp import Seal

TRIES, MOST_TRIES = 3, 9
"""Silent tries that make a verdict, and the limit of tries including those in which we stalled."""
_TIMEOUT_NS = 500_000_000
_KINDS = {TargetProtocol.ICMP: Transport.ICMP, TargetProtocol.STAMP: Transport.UDP}


def sweep_echoes(
    agents: Sequence[tuple[str, int]], icmp: Sequence[str], *, seal_at: Callable[[str], Seal], rate: float
) -> list[PortVerdict]:
    """Ask *agents* at their ports, each with its own key, and the addresses of *icmp* for an ICMP echo.

    A silent row is ``filtered`` where the same address answered another, else ``unknown``. An agent's
    ``open`` port has the name it gave.
    """
    agents, icmp = list(dict.fromkeys(agents)), list(dict.fromkeys(icmp))
    asked = [
        SweepTargets.of(
            TargetProtocol.STAMP, [host for host, _ in agents], ports=[port for _, port in agents]
        ),
        SweepTargets.of(TargetProtocol.ICMP, icmp),
    ]
    questions = asked[0].plus(asked[1])
    told: dict[int, PortVerdict] = {}
    rows: Indices = np.arange(len(questions))
    silences, waiting = np.zeros(len(questions), dtype=np.int64), AdaptiveTimeout(_TIMEOUT_NS)
    seals = [seal_at(host) for host, _ in agents] + [Seal(b"")] * len(icmp)
    with Sweep(questions, key=secrets.token_bytes(16), seals=seals) as sweep:
        for _ in range(MOST_TRIES):
            pace = SweepSettings(rate=rate, timeout_ns=waiting.timeout_ns, late_counts=True)
            result = sweep.ask(pace, rows=rows)
            late = sweep.take_late()
            waiting.note(result, is_late=bool(late))
            for answers in late:
                _take_late(result, answers)
            told |= {int(row): _verdict(questions, result, int(row)) for row in rows}
            silences[rows] += not result.stalled_ns
            is_open = [told[int(row)].verdict is Verdict.UNKNOWN for row in rows]
            rows = rows[np.array(is_open, dtype=np.bool_) & (silences[rows] < TRIES)]
            if not len(rows):
                break
    return with_witnesses(told.values())


def _take_late(result: RoundResult, answers: SweepAnswers) -> None:
    """Use answers to earlier rounds like answers to this round."""
    answers = answers.pick(
        np.isin(result.codes[answers.rows], (ResultCode.TIMED_OUT, ResultCode.NOT_MEASURED))
    )
    result.codes[answers.rows] = answers.codes
    result.senders[answers.rows] = answers.senders
    result.types[answers.rows] = answers.types
    result.icmp_codes[answers.rows] = answers.icmp_codes


def _verdict(questions: SweepTargets, result: RoundResult, row: int) -> PortVerdict:
    address, port = address_text(questions.addresses[row]), int(questions.ports[row])
    transport = _KINDS[TargetProtocol(int(questions.kinds[row]))]
    code = ResultCode(int(result.codes[row]))
    sender = address_text(result.senders[row])
    match code:
        case ResultCode.REACHED:
            name = result.stamps.name(row) if result.stamps and transport is Transport.UDP else ""
            return PortVerdict(address, transport, port, Verdict.OPEN, answered_by=name)
        case ResultCode.REFUSED:
            return PortVerdict(address, transport, port, Verdict.CLOSED)
        case ResultCode.REJECTED | ResultCode.TOO_BIG:
            kind, icmp_code = int(result.types[row]), int(result.icmp_codes[row])
            return PortVerdict(address, transport, port, Verdict.REJECTED, sender, kind, icmp_code)
        case ResultCode.WRONG_PEER:
            why = Reason(ReasonCode.OTHER_ANSWERED, who=sender)
        case ResultCode.TIMED_OUT:
            why = SILENT_HOST
        case ResultCode.NOT_MEASURED if result.stalled_ns and not result.errnos[row]:
            why = Reason(ReasonCode.STALLED, for_ms=result.stalled_ns // 1_000_000)
        case _ if result.errnos[row] == errno.EPERM:
            return PortVerdict(address, transport, port, Verdict.FILTERED, reason=OWN_FILTER)
        case _:
            why = NOT_SENT
    return PortVerdict(address, transport, port, Verdict.UNKNOWN, reason=why)
