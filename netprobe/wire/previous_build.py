"""What builds without reason codes wrote as sentences: read as values, and written for them.

Rule: every sentence of such a build that a program ever decided by stands here and nowhere else. This file is
frozen: today's wording is in ``probes.wording``. It goes when no such build, and nothing it wrote, is in use.

Those builds sent the verdicts of ``ports`` and the flows of ``idle`` only as facts: a name and a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from netprobe.model.flow import FlowState
from netprobe.model.outcome import NotMeasured, OwnFault
from netprobe.model.prose import Prose
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import PortVerdict, Verdict

_WHOLE: dict[str, ReasonCode] = {
    "nothing on this host answered": ReasonCode.SILENT_HOST,
    "nothing on this port answered": ReasonCode.SILENT_PORT,
    "the host limits its answers, and time was over": ReasonCode.ANSWERS_LIMITED,
    "the host had answered and then said nothing any more": ReasonCode.FELL_SILENT,
    "time was over": ReasonCode.OUT_OF_TIME,
    "our own machine would not send": ReasonCode.NOT_SENT,
    "our own machine has no SCTP (the kernel module sctp is not loaded)": ReasonCode.NO_SCTP,
    "this host's own packet filter drops it": ReasonCode.OWN_FILTER,
}
_SENTENCES = {code: text for text, code in _WHOLE.items()}
_STALLED = re.compile(r"the agent stood still for (\d+) ms")
_ANSWERED_INSTEAD = re.compile(r"(\S+) answered instead")
_NOT_SENT = re.compile(r"our own machine(?: would not send)?: (.*)", re.DOTALL)
_RATE_SPENT = "questions within a minute"
_FLOWS: dict[str, FlowState] = {
    "lives": FlowState.ALIVE,
    "dead: silence": FlowState.SILENT,
    "dead: reset": FlowState.RESET,
    "dead: closed": FlowState.CLOSED,
    "not waited for": FlowState.PENDING,
}
_FLOW_TEXTS = {state: text for text, state in _FLOWS.items()}
_GAP = re.compile(r"(\d+) s quiet")


def read_reason(text: str) -> Reason:
    """The reason of a port's verdict."""
    if text in _WHOLE:
        return Reason(_WHOLE[text])
    if found := _STALLED.fullmatch(text):
        return Reason(ReasonCode.STALLED, for_ms=int(found[1]))
    if found := _ANSWERED_INSTEAD.fullmatch(text):
        return Reason(ReasonCode.OTHER_ANSWERED, who=found[1])
    if found := _NOT_SENT.fullmatch(text):
        return Reason(ReasonCode.NOT_SENT, detail=Prose(found[1]))
    return Reason(ReasonCode.OTHER, detail=Prose(text))


def write_reason(reason: Reason) -> str:
    """The same reason as such a build understands it."""
    match reason.code:
        case ReasonCode.STALLED:
            return f"the agent stood still for {reason.for_ms} ms"
        case ReasonCode.OTHER_ANSWERED:
            return f"{reason.who} answered instead"
        case code if code in _SENTENCES:
            return _SENTENCES[code] + (f": {reason.detail}" if reason.detail else "")
        case _:
            return str(reason.detail)


def write_port(one: PortVerdict) -> str:
    """The name of a fact of ``ports``: everything but the port, whose text is the value."""
    name = f"{one.address} {one.transport} {one.verdict}"
    if one.verdict is Verdict.REJECTED:
        return f"{name} {one.sender} {one.icmp_type} {one.icmp_code}"
    said = write_reason(one.reason) if one.reason is not None else one.answered_by
    return f"{name} {said}" if said else name


def read_ports(facts: Iterable[tuple[str, Prose]]) -> Iterator[str]:
    """Facts of ``ports`` as values (``probes.ports.write_values``); what is none stays as it is."""
    for name, ports in facts:
        address, transport, verdict, *rest = (*name.split(" ", 3), "", "", "")[:4]
        tail = rest[0]
        if tail and verdict in {Verdict.UNKNOWN, Verdict.FILTERED}:
            reason = read_reason(tail)
            tail = f"{reason.code} {reason.for_ms} {reason.who or '-'} {reason.detail}"
        yield f"{address} {transport} {verdict} {ports} {tail}".rstrip()


def read_flows(facts: Iterable[tuple[str, Prose]]) -> Iterator[tuple[int, FlowState]]:
    """Facts of ``idle``: the quiet gap in seconds, and what became of its flow."""
    for name, text in facts:
        gap, state = _GAP.fullmatch(name), _FLOWS.get(str(text))
        if gap is not None and state is not None:
            yield int(gap[1]), state


def write_flow(gap_s: int, state: FlowState) -> tuple[str, Prose]:
    """A flow as a fact of ``idle``."""
    return f"{gap_s} s quiet", Prose(_FLOW_TEXTS[state])


def is_rate_spent(declined: str) -> bool:
    """Whether an agent that sent no code declined for now only."""
    return declined.endswith(_RATE_SPENT)


def read_not_measured(outcome: NotMeasured) -> NotMeasured:
    """With its fault, where an agent sent only the sentence."""
    found = _STALLED.fullmatch(str(outcome.reason))
    return NotMeasured(outcome.reason, OwnFault.STALLED, int(found[1])) if found else outcome
