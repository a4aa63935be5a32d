"""What several probes of one question say together: how many were reached, lost or answered twice."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator

from netprobe.model.outcome import OutcomeKind, Reached
from netprobe.probes.ports import write_ports
from netprobe.probes.repeats import count_answers, read_source_port
from netprobe.render.labels import duration
from netprobe.wire.messages import CheckAnswer


def describe_series(answer: CheckAnswer) -> str:
    """Every outcome with its count: ``reached 3 of 4 (in 80 µs), timed-out 1, 3 duplicated``."""
    counts = Counter(outcome.kind for outcome in answer.outcomes)
    rtts_ns = [outcome.rtt_ns for outcome in answer.outcomes if isinstance(outcome, Reached)]
    told = [f"reached {len(rtts_ns)} of {len(answer.outcomes)}"]
    if rtts_ns:
        told[0] += f" (in {duration(round(statistics.median(rtts_ns)))})"
    told += [f"{kind} {counts[kind]}" for kind in OutcomeKind if kind in counts and kind is not Reached.kind]
    duplicated = count_duplicated(answer)
    return ", ".join([*told, f"{duplicated} duplicated"] if duplicated else told)


def count_duplicated(answer: CheckAnswer) -> int:
    """How many probes were answered more than once."""
    return sum(count_answers(detail.values) > 1 for detail in answer.details)


def describe_source_ports(answer: CheckAnswer) -> Iterator[tuple[str, str]]:
    """Which source ports each outcome belongs to, where the question named them."""
    ports: dict[OutcomeKind, list[int]] = {}
    for outcome, detail in zip(answer.outcomes, answer.details, strict=False):
        port = read_source_port(detail.values)
        if port:
            ports.setdefault(outcome.kind, []).append(port)
    for kind in OutcomeKind:
        if kind in ports:
            yield str(kind), f"from source port {write_ports(ports[kind])}"
