"""The clusters that management systems declare: a table for people, a document for machines.

Rule: a claim and what this machine saw are always side by side, and neither is ever shown as the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType

from netprobe.analysis.claims.api_claims import API_CLAIMS, Agreement, hold_against
from netprobe.discovery.k8s.declared_clusters import SourceReading
from netprobe.model.declared_cluster import ApiAddress, ApiClaim, ApiOutcome, ApiReading, DeclaredCluster
from netprobe.model.fabric import ClaimState
from netprobe.render.documents.snapshot import Document
from netprobe.render.labels import count, duration
from netprobe.render.terminal.console import Text
from netprobe.render.terminal.tables import new_table

_FINGERPRINT = 16
"""Characters of a fingerprint in the table; the document has it whole."""
_NOTES = 12
"""Lines below the table; the document has all."""
_WORDS: Mapping[ApiOutcome, str] = {
    ApiOutcome.ANSWERS: "answers",
    ApiOutcome.UNHEALTHY: "is not well",
    ApiOutcome.FOREIGN: "is not an API server",
    ApiOutcome.UNTRUSTED: "is not trusted",
    ApiOutcome.CLOSED: "refuses",
    ApiOutcome.SILENT: "silent",
    ApiOutcome.NO_NAME: "no address here",
    ApiOutcome.NOT_ASKED: "not asked",
}
_STATES: Mapping[ClaimState, str] = {
    ClaimState.UP: "{}",
    ClaimState.UNVERIFIED: "{}, unverified",
    ClaimState.DOWN: "not {}",
    ClaimState.UNKNOWN: "{} unknown",
}
_STYLES = {Agreement.CONFIRMED: "green", Agreement.CONTRADICTED: "bold red", Agreement.OPEN: ""}
_MARKS = {Agreement.CONFIRMED: "✓ ", Agreement.CONTRADICTED: "✗ ", Agreement.OPEN: "? "}
"""Beside an answer, so that no verdict is shown by colour alone."""
Answers = Mapping[ApiAddress, ApiReading]


def declared_table(
    readings: Sequence[SourceReading], answers: Answers | None, *, now_ns: int
) -> RenderableType:
    """A row for each cluster, then what was refused or could not be read; *answers* is None if none asked."""
    table = new_table(
        "cluster", "API server", "claim" if answers is None else "claim · answer", grow="API server"
    )
    for reading in readings:
        for one in reading.declared.clusters:
            name = Text(f"{one.name}\n").append(one.source, "bright_black")
            table.add_row(name, _server(one.address), _claims(one, answers, now_ns=now_ns))
    bad = {one.name for one, _ in find_disagreements(readings, answers or {})}
    lines: list[RenderableType] = [
        Text(_verdict(readings, answers, len(bad)), style="bold red" if bad else "bold"),
        Text(""),
        table,
    ]
    notes = [*_notes(readings, answers)]
    more = len(notes) - _NOTES
    shown = [*notes[:_NOTES], *([Text(f"and {more} more", "bright_black")] if more > 0 else [])]
    return Group(*lines, *((Text(""), *shown) if shown else ()))


def find_disagreements(
    readings: Sequence[SourceReading], answers: Answers
) -> tuple[tuple[DeclaredCluster, ApiClaim], ...]:
    """Every claim that an answer contradicts."""
    return tuple(
        (one, claim)
        for reading in readings
        for one in reading.declared.clusters
        for claim in one.claims
        if one.address in answers
        and hold_against(claim, answers[one.address].outcome) is Agreement.CONTRADICTED
    )


def _verdict(readings: Sequence[SourceReading], answers: Answers | None, bad: int) -> str:
    total = count(sum(len(reading.declared.clusters) for reading in readings), "declared cluster")
    if answers is None:
        return total
    there = sum(answer.outcome is ApiOutcome.ANSWERS for answer in answers.values())
    asked = sum(answer.outcome is not ApiOutcome.NOT_ASKED for answer in answers.values())
    told = f"{total}, {there} of {count(asked, 'API server')} that could be asked answer"
    return f"{told}; {bad} not as claimed" if bad else told


def _server(address: ApiAddress) -> Text:
    found = Text(address.server.removeprefix("https://") or "–")
    prints = [f"{one[:_FINGERPRINT]}…" for one in address.fingerprints[:2]]
    more = len(address.fingerprints) - len(prints)
    told = f"CA {' '.join(prints)}" + (f" and {more} more" if more else "") if prints else ""
    told = "any certificate is taken" if address.is_unverified else told
    return found.append(f"\n{told}", "bright_black") if told else found


def _claims(one: DeclaredCluster, answers: Answers | None, *, now_ns: int) -> Text:
    """Each kind of claim with the answer, and how old the oldest word of it is."""
    answer = answers.get(one.address) if answers is not None else None
    groups = Counter((claim.kind, claim.state) for claim in one.claims)
    cell = Text("" if groups else _join("–", answer), "" if groups else _plain_style(answer))
    for number, ((kind, state), times) in enumerate(groups.items()):
        alike = [claim for claim in one.claims if (claim.kind, claim.state) == (kind, state)]
        told = _STATES[state].format(API_CLAIMS[kind].word) + (f" ×{times}" if times > 1 else "")
        agreement = hold_against(alike[0], answer.outcome) if answer is not None else Agreement.OPEN
        start = "\n" if number else ""
        mark = _MARKS[agreement] if answer is not None else ""
        cell.append(f"{start}{mark}{_join(told, answer)}", _STYLES[agreement])
        if age := _age(alike, now_ns=now_ns):
            cell.append(f"\n{age}", "bright_black")
    return cell


def _join(told: str, answer: ApiReading | None) -> str:
    return told if answer is None else f"{told} · {_WORDS[answer.outcome]}"


def _plain_style(answer: ApiReading | None) -> str:
    return "yellow" if answer is not None and answer.outcome is not ApiOutcome.ANSWERS else ""


def _age(claims: Sequence[ApiClaim], *, now_ns: int) -> str:
    heard = [claim.heard_ns for claim in claims if claim.heard_ns is not None]
    since = [claim.since_ns for claim in claims if claim.since_ns is not None]
    if heard:
        return f"heard {duration(max(1, now_ns - min(heard)))} ago"
    return f"for {duration(max(1, now_ns - min(since)))}" if since else ""


def _notes(readings: Sequence[SourceReading], answers: Answers | None) -> Iterator[Text]:
    for reading in readings:
        if reading.why:
            yield Text(f"✗ {reading.why}", "red")
        for one in reading.declared.clusters:
            answer = (answers or {}).get(one.address)
            if answer is not None and answer.detail:
                yield Text(f"{one.name}: {answer.detail}", "yellow")
            elif one.address.problem:
                yield Text(f"{one.name}: {one.address.problem}", "yellow")
            for refused in one.address.refused:
                yield Text(f"{one.name}: {refused} is not followed", "bright_black")
        for unread in reading.declared.unread:
            yield Text(f"{reading.declared.source}: {unread}", "bright_black")


def declared_document(readings: Sequence[SourceReading], answers: Answers | None) -> Document:
    """``netprobe/declared-clusters``: ``clusters[]`` with ``claims[]`` and ``answer``, and what is unread."""
    return {
        "schema": "netprobe/declared-clusters",
        "version": 1,
        "clusters": [
            _entry(reading, one, answers) for reading in readings for one in reading.declared.clusters
        ],
        "unread": [
            {"context": reading.context.name, "source": reading.declared.source, "problem": problem}
            for reading in readings
            for problem in (*([reading.why] if reading.why else []), *map(str, reading.declared.unread))
        ],
    }


def _entry(reading: SourceReading, one: DeclaredCluster, answers: Answers | None) -> Document:
    answer = answers.get(one.address) if answers is not None else None
    return {
        "name": one.name, "source": one.source, "context": reading.context.name,
        "object": str(one.object), "server": one.address.server or None,
        "ca_fingerprints": list(one.address.fingerprints), "tls_name": one.address.tls_name or None,
        "takes_any_certificate": one.address.is_unverified, "proxied": one.address.is_proxied,
        "problem": one.address.problem or None, "refused": list(one.address.refused),
        "claims": [_claim(claim, answer) for claim in one.claims],
        "answer": None if answer is None else {
            "outcome": answer.outcome, "livez": answer.live, "readyz": answer.ready,
            "detail": answer.detail or None,
        },
    }  # fmt: skip


def _claim(claim: ApiClaim, answer: ApiReading | None) -> Document:
    row = API_CLAIMS[claim.kind]
    return {
        "kind": claim.kind, "claimant": row.claimant, "object": str(claim.object), "field": claim.field,
        "value": claim.value, "says": claim.state, "message": claim.message or None,
        "since_ns": claim.since_ns, "heard_ns": claim.heard_ns,
        "agreement": hold_against(claim, answer.outcome) if answer is not None else None,
    }  # fmt: skip
