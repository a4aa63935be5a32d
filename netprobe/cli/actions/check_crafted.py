"""``netprobe check`` with a crafted kind or ``--packet``: Scapy builds, an agent sends, Scapy reads."""

from __future__ import annotations

import secrets
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from netprobe.cli.actions.output import print_document
from netprobe.craft.kind import (
    Answered,
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
from netprobe.model.outcome import NotMeasured, Refused, Rejected
from netprobe.probes import registry
from netprobe.probes.observation import describe
from netprobe.probes.rejection import name_rejection
from netprobe.render.documents.snapshot import Document
from netprobe.render.labels import duration
from netprobe.wire.messages import CheckAnswer
from netprobe.workflows.check_target import CheckRequest
from netprobe.workflows.crafted_check import CraftedCheck, make_crafted

_WIDTH = 80
_WORDS = {
    Answered: "answered",
    Silent: "silent",
    WrongProtocol: "wrong-protocol",
    NotDelivered: "not-delivered",
}
"""Verdicts as documents name them."""


def run_crafted(
    inventory: Inventory, asker: str, target: str, wanted: CheckRequest, kind: CraftKind, *,
    ask: Callable[[Check], CheckAnswer], pcap: Path | None, write: Callable[[Document], str] | None,
) -> int:  # fmt: skip
    """Ask, write the capture, print the verdict; the exit code: 0 answered, 1 not, 2 not asked.

    *write* makes the text of a document; None prints for people.
    """
    crafted = make_crafted(inventory, asker, target, wanted, kind, token=secrets.token_bytes(32))
    registry.validate(crafted.check.probe)
    answer = ask(crafted.check)
    verdict = crafted.judge(answer)
    if pcap is not None:
        from netprobe.craft.capture import write_capture  # noqa: PLC0415 - Scapy, where it is asked for

        write_capture(pcap, crafted.kind, crafted.request, crafted.check.probe, answer.details[0].values)
    if write is None:
        echo("\n".join(describe_crafted(crafted, verdict)))
    else:
        print_document(write(document(crafted, verdict)))
    if isinstance(verdict, NotDelivered) and isinstance(verdict.outcome, NotMeasured):
        return 2
    return 0 if isinstance(verdict, Answered) else 1


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


def _say(verdict: CraftVerdict) -> str:
    match verdict:
        case Answered(rtt_ns):
            return f"answered in {duration(rtt_ns)}"
        case Silent(after_ns):
            return f"silent for {duration(after_ns)}"
        case WrongProtocol(reason, rtt_ns):
            return f"the wrong protocol answered in {duration(rtt_ns)}: {reason}"
        case NotDelivered(Refused(rtt_ns)):
            return f"closed: the host says in {duration(rtt_ns)} that the port has no listener"
        case NotDelivered(Rejected(sender) as rejected):
            return f"rejected by {sender}: {name_rejection(rejected)}"
        case NotDelivered(outcome):
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
        "reached": isinstance(verdict, Answered),
        "verdict": _WORDS[type(verdict)],
        "outcomes": [{"kind": str(outcome.kind), "words": str(describe(outcome)),
                      "facts": dict(verdict.facts) if isinstance(verdict, Answered) else {}}],
    }  # fmt: skip
