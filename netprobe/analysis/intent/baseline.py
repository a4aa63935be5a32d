"""Writes what is reachable now as an intent, to be reviewed and committed. Pure.

Only what is proven is written: an answer allows, a refusal by the host itself allows the path, a rejection
denies, and so does silence beside an answered control probe. Everything else is left out and counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from netprobe.analysis.intent.endpoints import find_endpoints
from netprobe.analysis.intent.verdicts import Sights, judge_cells
from netprobe.model.check import Expectation
from netprobe.model.intent import (
    Cell,
    CellVerdict,
    Intent,
    PortRange,
    PortSpec,
    Protocol,
    Requirements,
    Rule,
    RulePriority,
)
from netprobe.model.inventory import Inventory
from netprobe.model.verdict import Verdict
from netprobe.wire.intent import GroupDoc, IntentDoc, RuleDoc

EVERYBODY = "all"


@dataclass(frozen=True, slots=True, order=True)
class _Opening:
    """What was seen of a port."""

    expected: Expectation
    needs: Requirements


@dataclass(frozen=True, slots=True)
class Baseline:
    """A document, and how many cells it could not speak about."""

    document: IntentDoc
    cells: int
    left_out: int


def question_of(spans: tuple[PortRange, ...]) -> Intent:
    """The intent that asks everybody for *spans*, expecting nothing in particular."""
    rule = Rule(
        "observed",
        Expectation.ALLOW,
        (EVERYBODY,),
        (EVERYBODY,),
        spans,
        RulePriority.RULE,
        needs=Requirements.PATH,
    )
    return Intent(rules=(rule,))


def write_baseline(
    cells: Iterable[Cell], sights: Sights, inventory: Inventory, *, responders: frozenset[PortSpec]
) -> Baseline:
    """An intent that says what *sights* show, as few rules as say exactly that."""
    ways: dict[tuple[str, PortSpec], dict[_Opening, list[str]]] = defaultdict(lambda: defaultdict(list))
    count = left_out = 0
    for judged in judge_cells(cells, sights, responders=responders):
        count += 1
        if judged.verdict is CellVerdict.UNPROVEN or not _is_proven(sights, judged.cell):
            left_out += 1
            continue
        cell = judged.cell
        ways[cell.target, cell.door][_way(judged.verdict, sights[cell].verdict)].append(str(cell.source))
    rules = tuple(_rules(ways))
    named = {name for rule in rules for name in (*rule.sources, *rule.targets)}
    groups = {name: group for name, group in _groups(inventory).items() if name in named}
    return Baseline(
        IntentDoc(version=1, groups=groups, rules=rules, responders=_texts(responders)), count, left_out
    )


def _is_proven(sights: Sights, cell: Cell) -> bool:
    """A silence that judging calls broken may still be a dead host."""
    return sights[cell].verdict is not Verdict.UNKNOWN


def _way(verdict: CellVerdict, seen: Verdict) -> _Opening:
    if verdict is CellVerdict.BROKEN:
        return _Opening(Expectation.DENY, Requirements.LISTENER)
    return _Opening(Expectation.ALLOW, Requirements.PATH if seen is Verdict.CLOSED else Requirements.LISTENER)


def _rules(ways: Mapping[tuple[str, PortSpec], Mapping[_Opening, list[str]]]) -> Iterable[RuleDoc]:
    """Join ports with equal sources, then targets with equal ports."""
    doors: dict[tuple[str, _Opening, tuple[str, ...]], list[PortSpec]] = defaultdict(list)
    for (target, door), seen in ways.items():
        for way, names in seen.items():
            doors[target, way, tuple(sorted(names))].append(door)
    targets: dict[tuple[_Opening, tuple[str, ...], tuple[PortSpec, ...]], list[str]] = defaultdict(list)
    for (target, way, sources), found in doors.items():
        targets[way, sources, tuple(sorted(found))].append(target)
    for (way, asking, together), listed in sorted(targets.items()):
        yield RuleDoc(
            way.expected.value, asking, tuple(sorted(listed)), _texts(together), "observed",
            needs=way.needs.value,
        )  # fmt: skip


def _groups(inventory: Inventory) -> dict[str, GroupDoc]:
    """A group for each endpoint, of its own name."""
    groups = {}
    for one in find_endpoints(inventory, Intent()):
        if one.agent is not None or one.node:
            groups[one.name] = GroupDoc(
                clusters=(one.cluster,),
                nodes=(one.node,),
                planes=(str(one.plane),),  # type: ignore[arg-type]
            )
        else:
            groups[one.name] = GroupDoc(clusters=(one.cluster,), services=(one.service,))
    return groups


def _texts(doors: Iterable[PortSpec]) -> tuple[str, ...]:
    """Ports as ``tcp/80`` and ``tcp/8000-8010``, neighbours joined."""
    texts = []
    for protocol, found in groupby(sorted(doors), key=lambda door: door.protocol):
        numbers = [door.port for door in found]
        for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
            together = [number for _, number in run]
            texts.append(str(PortRange(Protocol(protocol), together[0], together[-1])))
    return tuple(texts)
