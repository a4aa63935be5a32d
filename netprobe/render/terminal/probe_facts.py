"""What a probe found out, in words: from its values where its kind has such, else as the agent worded it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from netprobe.errors import RemoteFormatError
from netprobe.model.verdict import Verdict
from netprobe.probes.idle import read_flows
from netprobe.probes.ports import read_verdicts, write_ports
from netprobe.probes.wording import FLOW_WORDS, describe_reason

if TYPE_CHECKING:
    from netprobe.wire.messages import OutcomeDetail

Words = Iterator[tuple[str, str]]


def describe_facts(kind: str, detail: OutcomeDetail) -> Words:
    """A name and a text for each thing that a probe of *kind* found out."""
    describe = _BY_KIND.get(kind)
    if describe is None or not detail.values:
        yield from ((name, str(text)) for name, text in detail.facts)
    else:
        yield from describe(detail)


def _describe_flows(detail: OutcomeDetail) -> Words:
    for gap_s, state in read_flows(detail.values):
        yield f"{gap_s} s quiet", FLOW_WORDS[state]


def _describe_ports(detail: OutcomeDetail) -> Words:
    for value in detail.values:
        try:
            alike = tuple(read_verdicts((value,)))
        except RemoteFormatError:
            continue
        one = alike[0]
        name = f"{one.address} {one.transport} {one.verdict}"
        if one.verdict is Verdict.REJECTED:
            name += f" by {one.sender} ({one.icmp_type}/{one.icmp_code})"
        elif one.answered_by:
            name += f", {one.answered_by} answers"
        elif one.reason is not None:
            name += f": {describe_reason(one.reason)}"
        yield name, write_ports(each.port for each in alike)


_BY_KIND: dict[str, Callable[[OutcomeDetail], Words]] = {"idle": _describe_flows, "ports": _describe_ports}
