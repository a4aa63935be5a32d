"""Verdicts of policies as statements people read, and as an intent that verify asks. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from netprobe.analysis.netpol.derivation import Door, PolicyCell
from netprobe.analysis.netpol.policy import PolicyPod, PolicyProtocol
from netprobe.model.check import Expectation
from netprobe.wire.intent import GroupDoc, IntentDoc, RuleDoc


@dataclass(frozen=True, slots=True)
class PolicyStatement:
    """Cells with one target, one verdict and one reason, on the same ports."""

    expected: Expectation
    sources: tuple[PolicyPod, ...]
    target: PolicyPod
    doors: tuple[Door, ...]
    reason: str

    @property
    def ports(self) -> tuple[str, ...]:
        """The ports as ``tcp/80`` and ``tcp/8000-8010``."""
        return _ports(self.doors)


def find_statements(cells: Iterable[PolicyCell], *, version: int) -> tuple[PolicyStatement, ...]:
    """Put the cells over IP *version* together, by target; a pod's ways to itself are left out."""
    doors: dict[tuple[PolicyPod, Expectation, str, PolicyPod], list[Door]] = {}
    for cell in cells:
        if cell.version == version and cell.source != cell.target:
            key = (cell.target, cell.expected, cell.reason, cell.source)
            doors.setdefault(key, []).append((cell.transport, cell.port))
    sources: dict[tuple[PolicyPod, Expectation, str, tuple[Door, ...]], list[PolicyPod]] = {}
    for (target, expected, reason, source), found in doors.items():
        sources.setdefault((target, expected, reason, tuple(sorted(found))), []).append(source)
    statements = (
        PolicyStatement(expected, tuple(asking), target, found, reason)
        for (target, expected, reason, found), asking in sources.items()
    )
    return tuple(sorted(statements, key=lambda each: each.target.qualified))


def intent_document(statements: Iterable[PolicyStatement], *, version: int) -> IntentDoc:
    """An intent that says the same: a group for each pod's address of IP *version*, a rule per statement."""
    groups: dict[str, GroupDoc] = {}
    rules = []
    for each in statements:
        ports = each.ports
        for pod in (*each.sources, each.target):
            groups.setdefault(pod.qualified, _group(pod, version))
        names = tuple(pod.qualified for pod in each.sources)
        name = f"{each.expected} {each.target.qualified}: {each.reason}"
        rules.append(RuleDoc(each.expected.value, names, each.target.qualified, ports, name))
    return IntentDoc(version=1, groups=dict(sorted(groups.items())), rules=tuple(rules))


def _group(pod: PolicyPod, version: int) -> GroupDoc:
    address = pod.address(version)
    assert address is not None
    return GroupDoc(cidrs=(f"{address}/{address.max_prefixlen}",))


def _ports(doors: Iterable[Door]) -> tuple[str, ...]:
    texts = []
    for transport, found in groupby(sorted(doors), key=lambda door: door[0]):
        numbers = [number for _, number in found]
        for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
            together = [number for _, number in run]
            texts.append(_span(transport, together[0], together[-1]))
    return tuple(texts)


def _span(transport: PolicyProtocol, first: int, last: int) -> str:
    return f"{transport}/{first}" if first == last else f"{transport}/{first}-{last}"
