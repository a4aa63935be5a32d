"""Reasons as sentences for people: the one place that words them.

Rule: what is written here may be reworded freely. Nothing reads it back.
"""

from __future__ import annotations

from netprobe.model.flow import FlowState
from netprobe.model.prose import Prose
from netprobe.model.reason import Reason, ReasonCode

_SENTENCES: dict[ReasonCode, str] = {
    ReasonCode.NOT_SENT: "our own machine would not send",
    ReasonCode.NO_SCTP: "our own machine has no SCTP (the kernel module sctp is not loaded)",
    ReasonCode.NO_PROBE: "no probe speaks {who}",
    ReasonCode.DECLINED: "not asked",
    ReasonCode.UNREADABLE: "the agent's answer cannot be read",
    ReasonCode.NO_VERDICT: "the agent said nothing of this port",
    ReasonCode.AGENT_AWAY: "the agent {who} is",
    ReasonCode.NOT_MEASURED: "not measured",
    ReasonCode.STALLED: "the agent stood still for {for_ms} ms",
    ReasonCode.ANSWERS_LIMITED: "the host limits its answers, and time was over",
    ReasonCode.FELL_SILENT: "the host had answered and then said nothing any more",
    ReasonCode.OUT_OF_TIME: "time was over",
    ReasonCode.STARVED: "silent, but rejections are rate-limited here",
    ReasonCode.SILENT_HOST: "nothing on this host answered",
    ReasonCode.SILENT_PORT: "nothing on this port answered",
    ReasonCode.NO_WITNESS: "nothing at this address answers: dead, or all of it dropped",
    ReasonCode.OTHER_ANSWERED: "{who} answered at this address instead",
    ReasonCode.OWN_FILTER: "this host's own packet filter drops it",
    ReasonCode.RECORDED: "",
    ReasonCode.OTHER: "",
}
_BETWEEN = {ReasonCode.AGENT_AWAY: " "}
FLOW_WORDS: dict[FlowState, str] = {
    FlowState.ALIVE: "lives",
    FlowState.SILENT: "dead: silence",
    FlowState.RESET: "dead: reset",
    FlowState.CLOSED: "dead: closed",
    FlowState.PENDING: "not waited for",
}


def describe_reason(reason: Reason) -> Prose:
    """A reason as a sentence without its end.

    >>> str(describe_reason(Reason(ReasonCode.NOT_SENT, detail=Prose("no buffer space"))))
    'our own machine would not send: no buffer space'
    """
    text = _SENTENCES[reason.code].format(who=reason.who, for_ms=reason.for_ms)
    if reason.detail:
        text += (_BETWEEN.get(reason.code, ": ") if text else "") + str(reason.detail)
    return Prose(f"{text}; {describe_reason(reason.beside)}" if reason.beside else text)
