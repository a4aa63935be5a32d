"""An intent file, read strictly: every mistake is one :class:`InputError` with file, line and column."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path

from netprobe.analysis.intent.patterns import EntryPoint, Pattern, expand_pattern
from netprobe.analysis.intent.prerequisites import expand_prerequisite
from netprobe.errors import InputError
from netprobe.model.check import Expectation
from netprobe.model.intent import (
    BUILT_IN_GROUPS,
    Group,
    Intent,
    PortRange,
    Protocol,
    Requirements,
    Rule,
    RulePriority,
    Scope,
)
from netprobe.wire.documents import Located, parse_document, read_text
from netprobe.wire.intent import ExceptionDoc, GroupDoc, IntentDoc, PatternDoc, RuleDoc

MAX_BYTES = 1024 * 1024
_MAX_PORT = 65_535
_FIELDS = {
    "independent": {"groups", "entry_points"},
    "federated": {"groups"},
    "hub-spoke": {"hub", "spokes", "entry_points"},
    "hybrid": {"members", "entry_points"},
}
"""Which fields a pattern reads, beside its ports."""

Step = str | int


def load_intent(path: Path, *, today: dt.date) -> Intent:
    """Read the intent file *path*; *today* decides which exceptions have expired."""
    return read_intent(read_text(path, limit=MAX_BYTES), source=str(path), today=today)


def read_intent(text: str, *, source: str, today: dt.date) -> Intent:
    """Read an intent from YAML *text*; *source* is the file named in errors."""
    document = parse_document(text, IntentDoc, source=source)
    return _IntentReader(document, Located(text, source=source), today).read()


class _IntentReader:
    """Turns the document into the model; knows where each field stands."""

    def __init__(self, document: IntentDoc, located: Located, today: dt.date) -> None:
        self._document, self._located, self._today = document, located, today
        self._known = {*document.groups, *BUILT_IN_GROUPS}

    def read(self) -> Intent:
        document = self._document
        groups = tuple(self._group(name, group) for name, group in document.groups.items())
        rules = tuple(self._rules())
        self._expect_no_contradiction(rules)
        responders = self._spans(document.responders, ("responders",))
        return Intent(
            groups=groups,
            rules=rules,
            default=Expectation(document.default) if document.default else None,
            ports=self._spans(document.ports, ("ports",)),
            responders=frozenset(door for span in responders for door in span.port_specs()),
            every_family=document.families == "all",
        )

    def _rules(self) -> Iterator[Rule]:
        for index, rule in enumerate(self._document.rules):
            yield self._rule(rule, ("rules", index))
        for index, exception in enumerate(self._document.exceptions):
            yield self._exception(exception, ("exceptions", index))
        for index, pattern in enumerate(self._document.patterns):
            yield from expand_pattern(self._pattern(pattern, ("patterns", index)))
        for index, system in enumerate(self._document.prerequisites):
            yield from expand_prerequisite(system, where=self._located.place("prerequisites", index))

    def _group(self, name: str, group: GroupDoc) -> Group:
        at = ("groups", name)
        if name in BUILT_IN_GROUPS:
            raise self._located.error(f"{name!r} always exists and cannot be defined again", *at)
        for index, text in enumerate(group.cidrs):
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise self._located.error(
                    f"{text!r} is not a network such as 10.0.0.0/16", *at, "cidrs", index
                ) from error
        return Group(
            name, group.clusters, group.environments, group.regions, group.nodes, group.planes, group.roles,
            group.namespaces, group.services, tuple(sorted(group.labels.items())), group.cidrs,
            where=self._located.place(*at),
        )  # fmt: skip

    def _rule(self, rule: RuleDoc, at: tuple[Step, ...]) -> Rule:
        return Rule(
            name=rule.name or f"rule {int(at[-1]) + 1}",
            expected=Expectation(rule.verdict),
            sources=self._groups(rule.sources, (*at, "from")),
            targets=self._groups(rule.targets, (*at, "to")),
            spans=self._spans(rule.ports, (*at, "ports")),
            scope=Scope(rule.scope),
            needs=Requirements(rule.needs),
            where=self._located.place(*at),
        )

    def _exception(self, exception: ExceptionDoc, at: tuple[Step, ...]) -> Rule:
        try:
            expires = dt.date.fromisoformat(exception.expires)
        except ValueError as error:
            raise self._located.error(f"{exception.expires!r} is not a date", *at, "expires") from error
        if expires < self._today:
            what = f"expired on {expires}: ask {exception.owner}, then renew or remove the exception"
            raise self._located.error(what, *at, "expires")
        return Rule(
            name=exception.name or f"exception {int(at[-1]) + 1} ({exception.owner})",
            expected=Expectation(exception.verdict),
            sources=self._groups(exception.sources, (*at, "from")),
            targets=self._groups(exception.targets, (*at, "to")),
            spans=self._spans(exception.ports, (*at, "ports")),
            rank=RulePriority.EXCEPTION,
            needs=Requirements(exception.needs),
            owner=exception.owner,
            expires=exception.expires,
            where=self._located.place(*at),
        )

    def _pattern(self, pattern: PatternDoc, at: tuple[Step, ...]) -> Pattern:
        for field in ("groups", "hub", "spokes", "members", "entry_points"):
            is_read, is_given = field in _FIELDS[pattern.pattern], bool(getattr(pattern, field))
            if is_given and not is_read:
                raise self._located.error(f"a {pattern.pattern} pattern has no {field}", *at, field)
            if is_read and not is_given and field != "entry_points":
                raise self._located.error(f"a {pattern.pattern} pattern needs {field}", *at)
        entries = []
        for index, entry in enumerate(pattern.entry_points):
            here = (*at, "entry_points", index)
            self._groups(entry.to, (*here, "to"))
            entries.append(EntryPoint(entry.to, self._spans(entry.ports, (*here, "ports"))))
        for name in pattern.members:
            self._groups(name, (*at, "members", name))
        return Pattern(
            kind=pattern.pattern,
            groups=self._groups(pattern.groups, (*at, "groups")),
            hub=self._groups(pattern.hub, (*at, "hub"))[0] if pattern.hub else "",
            spokes=self._groups(pattern.spokes, (*at, "spokes")),
            members=tuple(pattern.members.items()),
            entry_points=tuple(entries),
            spans=self._spans(pattern.ports, (*at, "ports")),
            where=self._located.place(*at),
        )

    def _groups(self, names: str | Iterable[str], at: tuple[Step, ...]) -> tuple[str, ...]:
        listed = (names,) if isinstance(names, str) else tuple(names)
        for index, name in enumerate(listed):
            if name not in self._known:
                place = at if isinstance(names, str) else (*at, index)
                raise self._located.error(f"no group is called {name!r}", *place)
        return listed

    def _spans(self, texts: Iterable[str], at: tuple[Step, ...]) -> tuple[PortRange, ...]:
        spans = []
        for index, text in enumerate(texts):
            try:
                spans.append(parse_span(text))
            except InputError as error:
                raise self._located.error(error.what, *at, index) from error
        return tuple(spans)

    def _expect_no_contradiction(self, rules: tuple[Rule, ...]) -> None:
        ports = self._spans(self._document.ports, ("ports",))
        for one, other in combinations(rules, 2):
            if one.rank is other.rank and one.expected is not other.expected and _meet(one, other, ports):
                raise InputError(
                    f"{other.name!r} says {other.expected} where {one.name!r} ({one.where}) says "
                    f"{one.expected}",
                    where=other.where,
                )


def _meet(one: Rule, other: Rule, ports: tuple[PortRange, ...]) -> bool:
    """Whether both name a common pair of groups and a common port; groups by name only."""
    return (
        bool(set(one.sources) & set(other.sources))
        and bool(set(one.targets) & set(other.targets))
        and {one.scope, other.scope} != {Scope.WITHIN, Scope.ACROSS}
        and any(a.overlaps(b) for a in one.spans or ports for b in other.spans or ports)
    )


def parse_span(text: str) -> PortRange:
    """Read ``tcp/443``, ``udp/8000-8010``, ``sctp/38412``, ``icmp`` or ``esp``.

    >>> str(parse_span("tcp/8000-8010"))
    'tcp/8000-8010'
    """
    name, slash, ports = text.partition("/")
    if name not in set(Protocol):
        raise InputError(f"{text!r} is not tcp/PORT, udp/PORT, sctp/PORT, icmp or esp")
    protocol = Protocol(name)
    if protocol in {Protocol.ICMP, Protocol.ESP}:
        if slash:
            raise InputError(f"{text!r}: {protocol} has no ports")
        return PortRange(protocol)
    first, dash, last = ports.partition("-")
    numbers = [first, last] if dash else [first]
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise InputError(f"{text!r} names no port; write {protocol}/443 or {protocol}/8000-8010")
    low, high = int(numbers[0]), int(numbers[-1])
    if not 1 <= low <= _MAX_PORT or not 1 <= high <= _MAX_PORT:
        raise InputError(f"{text!r}: a port is within 1–{_MAX_PORT}")
    if high < low:
        raise InputError(f"{text!r}: the range runs backwards")
    return PortRange(protocol, low, high)
