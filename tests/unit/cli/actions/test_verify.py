"""``netprobe verify``: exit codes, and a watch that ends when it is told to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netprobe.analysis.intent.sample import Sample
from netprobe.cli.actions.verify import exit_code, watch
from netprobe.errors import BusAwayError, SystemRefusedError
from netprobe.model.check import Expectation
from netprobe.model.intent import Cell, CellResult, CellVerdict, Deviation, PortSpec, Protocol
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose

CELL = Cell(
    AgentId.parse("a/w1/pod"), "b/w1/pod", "10.0.0.1", PortSpec(Protocol.TCP, 80), Expectation.ALLOW, "web"
)  # fmt: skip


def judged(*verdicts: str) -> tuple[CellResult, ...]:
    return tuple(CellResult(CELL, CellVerdict(verdict), Prose("why")) for verdict in verdicts)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (("as intended",), 0),
        (("as intended", "unproven"), 0),
        (("as intended", "broken"), 1),
        (("leak",), 1),
        (("unproven", "leak"), 1),
        (("unproven", "unproven"), 2),
    ],
)
def test_the_exit_code_says_what_was_found(verdicts: tuple[str, ...], code: int) -> None:
    assert exit_code(judged(*verdicts)) == code


class ScriptedVerifier:
    """An :class:`IntentVerifier` whose rounds end as *script* says, and which is then interrupted."""

    def __init__(self, *script: str) -> None:
        self._script = iter(script)
        self.reports: list[tuple[list[str], bool]] = []

    def verify(self) -> tuple[Sample, tuple[CellResult, ...]]:
        verdict = next(self._script, None)
        if verdict is None:
            raise KeyboardInterrupt
        if verdict == "away":
            raise SystemRefusedError("the bus is away")
        return Sample((CELL,), 1, frozenset({CELL})), judged(verdict)

    def report(self, deviations: tuple[Deviation, ...], *, holds_s: float) -> None:
        self.reports.append(([str(one.verdict) for one in deviations], holds_s > 0))
        if len(self.reports) == 1:
            raise BusAwayError("no server there")


@pytest.mark.parametrize(
    ("seen", "code", "told"),
    [
        (
            ("as intended", "broken", "away", "broken", "as intended"),
            0,
            ["1 opened: broken", "1 closed: broken"],
        ),
        (("leak",), 1, ["1 opened: leak"]),
        (("away",), 0, []),
    ],
)  # fmt: skip
def test_a_watch_tells_what_opens_and_closes_until_it_is_interrupted(
    seen: tuple[str, ...], code: int, told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "incidents"
    assert watch(ScriptedVerifier(*seen), every_s=0.0, incidents=kept) == code
    out, err = capsys.readouterr()
    heads = [line for line in out.splitlines() if "incident" in line]
    assert len(heads) == len(told)
    assert all(part in head for part, head in zip(told, heads, strict=True))
    lines = kept.read_text().splitlines() if kept.exists() else []
    assert [json.loads(line)["change"] for line in lines] == [part.split()[1][:-1] for part in told]
    assert ("not verified: the bus is away" in err) is ("away" in seen)
    assert err.count("the collector did not get the report: no server there") == 1


def test_a_watch_reports_to_the_collector_after_each_round_and_when_it_ends() -> None:
    verifier = ScriptedVerifier("as intended", "broken", "away", "as intended", "leak")
    watch(verifier, every_s=0.0)
    assert verifier.reports == [
        ([], True), (["broken"], True), (["broken"], True), ([], True), (["leak"], True), (["leak"], False),
    ]  # fmt: skip
