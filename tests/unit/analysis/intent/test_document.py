"""Intent files: what is read, and the one clear line for each mistake."""

from __future__ import annotations

import datetime as dt
import json
import tracemalloc
from itertools import pairwise
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it has no types of its own
import pytest

from netprobe.analysis.intent.document import MAX_BYTES, load_intent, read_intent
from netprobe.errors import InputError
from netprobe.model.check import Expectation
from netprobe.model.intent import Intent, Requirements, RulePriority, Scope
from netprobe.wire.intent import intent_schema

TODAY = dt.date(2026, 11, 25)
HEAD = "version: 1\ngroups:\n  prod: {clusters: [prod]}\n  dev: {clusters: [dev]}\n"
SCHEMA = Path(__file__).parents[4] / "docs/schemas/intent.schema.json"

BOMB = "version: 1\ngroups:\n  a: &a {clusters: [x]}\n  b: *a\n"
CONTRADICTION = (
    "rules:\n"
    "  - {name: open, verdict: allow, from: prod, to: dev, ports: [tcp/1-100]}\n"
    "  - {name: shut, verdict: deny, from: [dev, prod], to: dev, ports: [tcp/80]}\n"
)
EXPIRED = "exceptions:\n  - {verdict: allow, from: dev, to: prod, owner: ann, expires: 2026-11-24}\n"
BAD = {
    "unknown group": (
        HEAD + "rules:\n  - {verdict: allow, from: prod, to: qa}\n",
        "f.yaml:6:34: rules[0].to: no group is called 'qa'",
    ),
    "unknown group in a list": (
        HEAD + "rules:\n  - {verdict: allow, from: [prod, qa], to: dev}\n",
        "f.yaml:6:35: rules[0].from[1]: no group is called 'qa'",
    ),
    "contradictory rules": (
        HEAD + CONTRADICTION,
        "f.yaml:7:5: 'shut' says deny where 'open' (f.yaml:6:5) says allow",
    ),
    "expired exception": (
        HEAD + EXPIRED,
        ("f.yaml:6:55: exceptions[0].expires: expired on 2026-11-24: "
        "ask ann, then renew or remove the exception"),
    ),
    "port out of range": (
        HEAD + "ports: [tcp/70000]\n",
        "f.yaml:5:9: ports[0]: 'tcp/70000': a port is within 1–65535",
    ),
    "port zero": (HEAD + "ports: [tcp/0]\n", "f.yaml:5:9: ports[0]: 'tcp/0': a port is within 1–65535"),
    "range backwards": (
        HEAD + "ports: [udp/9-8]\n",
        "f.yaml:5:9: ports[0]: 'udp/9-8': the range runs backwards",
    ),
    "anchors and aliases": (BOMB, "f.yaml:3:6: anchors and aliases are not allowed ('a')"),
    "a YAML bomb": (
        "version: 1\ngroups:\n  a: &a {clusters: [x, x, x, x, x, x, x, x, x]}\n"
        + "".join(f"  {b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghi")),
        "f.yaml:3:6: anchors and aliases are not allowed ('a')",
    ),
    "a merge key": (
        HEAD + "  both: {<<: *prod}\n",
        "f.yaml:5:14: anchors and aliases are not allowed ('prod')",
    ),
    "a second document": (HEAD + "---\nversion: 1\n", "f.yaml:5:1: is not YAML: but found another document"),
    "duplicate key deep inside": (
        "version: 1\ngroups:\n  prod: {clusters: [a], regions: [r], clusters: [b]}\n",
        "f.yaml:3:39: groups.prod.clusters: is given twice",
    ),
    "duplicate key": (HEAD + "ports: []\nports: []\n", "f.yaml:6:1: ports: is given twice"),
    "nested too deeply": ("[" * 5000, "f.yaml:1:1: is nested too deeply"),
    "unknown field": (HEAD + "rule: []\n", "f.yaml:5:1: the mapping contains unknown field 'rule'"),
    "a pattern's stray field": (
        HEAD + "patterns:\n  - {pattern: federated, groups: [dev], hub: prod}\n",
        "f.yaml:6:41: patterns[0].hub: a federated pattern has no hub",
    ),
    "a pattern without its field": (
        HEAD + "patterns:\n  - {pattern: hub-spoke, hub: prod}\n",
        "f.yaml:6:5: patterns[0]: a hub-spoke pattern needs spokes",
    ),
    "no such day": (
        HEAD + "exceptions:\n  - {verdict: allow, from: dev, to: prod, owner: ann, expires: 2027-02-30}\n",
        "f.yaml:6:55: exceptions[0].expires: '2027-02-30' is not a date",
    ),
    "a built-in group": ("version: 1\ngroups:\n  all: {}\n",
                         "f.yaml:3:3: groups.all: 'all' always exists and cannot be defined again"),
    "no network": ("version: 1\ngroups:\n  a: {cidrs: [10.0.0.1/8]}\n",
                   "f.yaml:3:15: groups.a.cidrs[0]: '10.0.0.1/8' is not a network such as 10.0.0.0/16"),
    "empty": ("", "f.yaml: is empty"),
}  # fmt: skip


def read(text: str) -> Intent:
    return read_intent(text, source="f.yaml", today=TODAY)


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_mistake_is_one_line_that_names_the_place(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert str(caught.value) == message


def test_a_file_of_ten_megabytes_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"# filler\n" * 1_200_000)
    with pytest.raises(InputError, match=f"is larger than the limit of {MAX_BYTES} bytes"):
        load_intent(path, today=TODAY)


def test_a_file_of_ten_megabytes_costs_no_more_memory_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    group = "  g{}: {{clusters: [c{}], namespaces: [n]}}\n"
    path.write_text("version: 1\ngroups:\n" + "".join(group.format(n, n) for n in range(260_000)))
    assert path.stat().st_size > 10_000_000
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            load_intent(path, today=TODAY)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(caught.value) == (f"{path}:1:1: is larger than the limit of {MAX_BYTES} bytes")
    assert most < 3 * MAX_BYTES


def test_an_exception_holds_until_the_end_of_its_last_day() -> None:
    (rule,) = read(HEAD + EXPIRED.replace("11-24", "11-25")).rules
    assert (rule.rank, rule.owner, rule.expires) == (RulePriority.EXCEPTION, "ann", "2026-11-25")


def test_an_exception_may_contradict_a_rule() -> None:
    deny = "rules:\n  - {verdict: deny, from: dev, to: prod}\n"
    assert len(read(HEAD + deny + EXPIRED.replace("2026", "2099")).rules) == 2


def test_rules_within_and_across_clusters_do_not_contradict() -> None:
    text = (
        "rules:\n  - {verdict: allow, from: prod, to: prod, scope: within}\n"
        "  - {verdict: deny, from: prod, to: prod, scope: across}\n"
    )
    assert [rule.scope for rule in read(HEAD + text).rules] == [Scope.WITHIN, Scope.ACROSS]


PATTERNS = {
    "{pattern: independent, groups: [prod, dev], entry_points: [{to: prod, ports: [tcp/443]}]}": {
        ("prod", "dev"): "deny", ("dev", "prod"): "deny", ("prod", "prod"): "deny", ("dev", "dev"): "deny",
    },
    "{pattern: hub-spoke, hub: prod, spokes: [dev]}": {
        ("prod", "dev"): "allow", ("dev", "prod"): "allow", ("prod", "prod"): "allow", ("dev", "dev"): "deny",
    },
    "{pattern: federated, groups: [prod, dev]}": {
        ("prod", "dev"): "allow", ("dev", "prod"): "allow",
        ("prod", "prod"): "allow", ("dev", "dev"): "allow",
    },
    "{pattern: hybrid, members: {prod: federated, dev: independent}}": {
        ("prod", "dev"): "deny", ("dev", "prod"): "deny", ("prod", "prod"): "allow", ("dev", "dev"): "deny",
    },
}  # fmt: skip


@pytest.mark.parametrize(("line", "pairs"), PATTERNS.items(), ids=lambda value: str(value)[:24])
def test_a_pattern_stands_for_rules(line: str, pairs: dict[tuple[str, str], str]) -> None:
    rules = read(f"{HEAD}patterns:\n  - {line}\n").rules
    said = {
        (source, target): str(rule.expected)
        for rule in rules
        if rule.rank is RulePriority.PATTERN
        for source in rule.sources
        for target in rule.targets
    }
    assert said == pairs


def test_an_entry_point_beats_its_pattern() -> None:
    line = next(iter(PATTERNS))
    entry = [
        rule for rule in read(f"{HEAD}patterns:\n  - {line}\n").rules if rule.rank is RulePriority.ENTRY_POINT
    ]
    assert [(rule.expected, rule.targets, str(rule.spans[0])) for rule in entry] == [
        (Expectation.ALLOW, ("prod",), "tcp/443")
    ]


def test_prerequisites_of_submariner_need_the_path_only() -> None:
    rules = read("version: 1\nprerequisites: [submariner]\n").rules
    doors = {(str(span), rule.scope) for rule in rules for span in rule.spans}
    assert doors == {
        ("udp/4500", Scope.ACROSS), ("udp/4490", Scope.ACROSS), ("esp", Scope.ACROSS),
        ("udp/4800", Scope.WITHIN),
    }  # fmt: skip
    assert {rule.needs for rule in rules} == {Requirements.PATH}


@pytest.mark.parametrize(
    ("fabric", "door", "scope"),
    [
        ("submariner", "esp", Scope.ACROSS),
        ("liqo", "udp/51840", Scope.ACROSS),
        ("istio", "tcp/15443", Scope.ACROSS),
        ("linkerd", "tcp/4143", Scope.ACROSS),
        ("consul", "tcp/8301", Scope.WITHIN),
        ("cilium-clustermesh", "tcp/2379", Scope.ACROSS),
        ("kubernetes-nodes", "tcp/10250", Scope.WITHIN),
    ],
)
def test_every_known_fabric_has_a_set_that_holds_its_door(fabric: str, door: str, scope: Scope) -> None:
    rules = read(f"version: 1\nprerequisites: [{fabric}]\n").rules
    assert (door, scope) in {(str(span), rule.scope) for rule in rules for span in rule.spans}


def test_the_published_schema_is_the_one_that_is_read() -> None:
    assert json.loads(SCHEMA.read_text()) == json.loads(json.dumps(intent_schema()))


def test_the_schema_takes_what_is_read_and_refuses_a_stray_field() -> None:
    jsonschema.Draft202012Validator.check_schema(intent_schema())
    good = {"version": 1, "rules": [{"verdict": "allow", "from": "all", "to": ["nodes"], "ports": ["icmp"]}]}
    jsonschema.validate(good, intent_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**good, "rulez": []}, intent_schema())
