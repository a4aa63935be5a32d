"""``netprobe check`` with a crafted kind or ``--packet``: Scapy builds, an agent sends, Scapy reads."""

from __future__ import annotations

import asyncio
import secrets
import textwrap
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from netprobe.analysis.gateway_evidence.statements import format_fact
from netprobe.cli.actions.output import print_document
from netprobe.craft.kind import (
    Answered,
    Counted,
    CraftKind,
    CraftVerdict,
    NotDelivered,
    Silent,
    WrongProtocol,
    outcome_of,
)
from netprobe.echo import echo
from netprobe.model.check import Check
from netprobe.model.inventory import Inventory
from netprobe.model.outcome import NotMeasured, Outcome, Refused, Rejected
from netprobe.probes import registry
from netprobe.probes.observation import describe
from netprobe.probes.packets import read_sent
from netprobe.probes.rejection import name_rejection
from netprobe.render.documents.snapshot import Document
from netprobe.render.labels import duration
from netprobe.wire.messages import CheckAnswer
from netprobe.workflows.check_target import CheckRequest
from netprobe.workflows.crafted_check import CraftedCheck, make_crafted

Asking = Callable[[Check], Coroutine[Any, Any, CheckAnswer]]
_WIDTH = 80
_WORDS = {
    Answered: "answered",
    Silent: "silent",
    WrongProtocol: "wrong-protocol",
    NotDelivered: "not-delivered",
    Counted: "counted",
}
"""Verdicts as documents name them."""


def run_crafted(
    inventory: Inventory, asker: str, target: str, wanted: CheckRequest, kind: CraftKind, *,
    ask: Asking, pcap: Path | None, write: Callable[[Document], str] | None,
) -> int:  # fmt: skip
    """Ask, write the capture, print the verdict; the exit code: 0 answered, 1 not, 2 not asked.

    *write* makes the text of a document; None prints for people.
    """
    crafted = make_crafted(inventory, asker, target, wanted, kind, token=secrets.token_bytes(32))
    registry.validate(crafted.check.probe)
    answer, verdict = _ask(ask, inventory, crafted)
    if pcap is not None:
        from netprobe.craft.capture import write_capture  # noqa: PLC0415 - Scapy, where it is asked for

        write_capture(pcap, crafted.kind, crafted.request, crafted.check.probe, answer.details[0].values)
    if write is None:
        echo("\n".join(describe_crafted(crafted, verdict)))
    else:
        print_document(write(document(crafted, verdict)))
    if isinstance(verdict, NotDelivered) and isinstance(verdict.outcome, NotMeasured):
        return 2
    return 0 if _is_reached(verdict) else 1


def _ask(ask: Asking, inventory: Inventory, crafted: CraftedCheck) -> tuple[CheckAnswer, CraftVerdict]:
    """The answer and what it says; of packets that no peer answers also what the far gateway counted."""
    if crafted.kind.is_counted:
        from netprobe.workflows.esp_arrival import (  # noqa: PLC0415 - SSH, where it is asked for
            ask_and_read,
            find_far_gateway,
            judge_counters,
        )

        gateway = find_far_gateway(inventory, crafted.check)
        if gateway is not None:
            answer, readings = asyncio.run(ask_and_read(ask, crafted.check, gateway))
            verdict = crafted.judge(answer)
            sent = len(read_sent(answer.details[0].values)) if answer.details else 0
            return answer, judge_counters(verdict, readings, sent=sent) if readings else verdict
    answer = asyncio.run(ask(crafted.check))
    return answer, crafted.judge(answer)


def _is_reached(verdict: CraftVerdict) -> bool:
    return isinstance(verdict, Answered) or (isinstance(verdict, Counted) and verdict.has_arrived)


def describe_crafted(crafted: CraftedCheck, verdict: CraftVerdict) -> Iterator[str]:
    """One sentence, then what the answer says, at 80 columns."""
    check, request = crafted.check, crafted.request
    where = (
        check.target.name
        if check.target.name == request.target
        else f"{check.target.name} ({request.target})"
    )
    port = f" port {request.port}" if crafted.kind.via == "udp" else ""
    yield from textwrap.wrap(
        f"{check.source} asked {where} by {crafted.kind.name}{port}: {_say(verdict)}.", _WIDTH
    )
    if isinstance(verdict, Answered):
        wide = max((len(name) for name, _ in verdict.facts), default=0)
        yield from (f"  {name:<{wide}}  {text}" for name, text in verdict.facts)
    elif isinstance(verdict, Silent) and verdict.hint:
        yield from textwrap.wrap(verdict.hint, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    elif isinstance(verdict, Counted):
        for counter in verdict.counters:
            told = f"the far gateway's {format_fact(counter)}"
            yield from textwrap.wrap(told, _WIDTH, initial_indent="  ", subsequent_indent="  ")


def _say(verdict: CraftVerdict) -> str:
    match verdict:
        case Answered(rtt_ns):
            return f"answered in {duration(rtt_ns)}"
        case Silent(after_ns):
            return f"silent for {duration(after_ns)}"
        case Counted():
            return _say_counted(verdict)
        case WrongProtocol(reason, rtt_ns):
            return f"the wrong protocol answered in {duration(rtt_ns)}: {reason}"
        case NotDelivered(outcome):
            return _say_undelivered(outcome)


def _say_counted(verdict: Counted) -> str:
    if not verdict.counters:
        return f"lost on the way: no counter of the far gateway grew by the {verdict.sent} packets"
    end = "arrived" if verdict.has_arrived else "were taken by a rule of the far gateway"
    return f"all {verdict.sent} packets {end}"


def _say_undelivered(outcome: Outcome) -> str:
    match outcome:
        case Refused(rtt_ns):
            return f"closed: the host says in {duration(rtt_ns)} that the port has no listener"
        case Rejected(sender):
            return f"rejected by {sender}: {name_rejection(outcome)}"
        case _:
            return str(describe(outcome))


def document(crafted: CraftedCheck, verdict: CraftVerdict) -> Document:
    """The same for machines; durations in nanoseconds."""
    check, request, outcome = crafted.check, crafted.request, outcome_of(verdict)
    return {
        "schema": "netprobe/check",
        "version": 1,
        "source": str(check.source),
        "target": {"kind": str(check.target.kind), "name": check.target.name, "address": request.target},
        "probe": {"kind": crafted.kind.name, "port": crafted.request.port or None, "size": None, "name": None,
                  "timeout_ns": check.probe.timeout_ns, "options": dict(crafted.request.options)},
        "reached": _is_reached(verdict),
        "verdict": _WORDS[type(verdict)],
        "outcomes": [{"kind": str(outcome.kind), "words": str(describe(outcome)),
                      "facts": dict(verdict.facts) if isinstance(verdict, Answered) else {}}],
    }  # fmt: skip
