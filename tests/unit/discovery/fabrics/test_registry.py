"""What every adapter must keep: no secret gets in, and no hostile object stops or floods anything."""

from __future__ import annotations

import json
import sys
import tracemalloc
from typing import Any

import msgspec
import pytest

from netprobe.discovery.fabrics import FABRICS, READABLE, ReadableFabric
from netprobe.discovery.fabrics.fields import MAX_NOTES, MAX_TEXT
from netprobe.discovery.fabrics.objects import MAX_OBJECT_BYTES, FabricKind, FabricObjects, decode_object
from netprobe.model.fabric import FabricFacts
from tests.unit.manifests.rendered import MANIFESTS

PLANTED = "planted-secret-7f3a"
CASES = [
    pytest.param(fabric, kind, id=f"{fabric.NAME} {kind}") for fabric in READABLE for kind in fabric.KINDS
]
SECRET_KINDS = {"secrets", "submariners", "servicediscoveries", "accessgrants", "accesstokens", "identities"}
"""Resources whose objects hold secrets by design; no adapter asks for them."""


def nest(path: str, value: object) -> dict[str, Any]:
    """*value* at a dotted path; ``*`` becomes one entry of a list."""
    for key in reversed(path.replace("\\.", "\0").split(".")):
        value = [value] if key == "*" else {key.replace("\0", "."): value}
    assert isinstance(value, dict)
    return value


def merged(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return one | {key: merged(one[key], value) if key in one else value for key, value in other.items()}
    return other


def with_secrets(kind: FabricKind) -> dict[str, Any]:
    """An object with a secret in each field that holds one, in unknown fields, and in copies of itself."""
    whole = {
        "spec": {"ceIPSecPSK": PLANTED, "unknown": {"token": PLANTED}},
        "status": {"unknown": [PLANTED]},
        "data": {"kubeconfig": PLANTED},
    }
    for path in kind.secrets:
        whole = merged(whole, nest(path, PLANTED))
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(whole)}
    managed = [{"manager": PLANTED, "fieldsV1": {PLANTED: {}}}]
    marks = dict.fromkeys((*kind.annotations, *kind.labels), "true")
    meta = {
        "name": "x", "namespace": "n", "managedFields": managed,
        "annotations": annotations | marks, "labels": marks,
    }  # fmt: skip
    return {"metadata": meta, **whole}


@pytest.mark.parametrize(("fabric", "kind"), CASES)
def test_a_planted_secret_is_nowhere_after_decoding(fabric: ReadableFabric, kind: FabricKind) -> None:
    raw = json.dumps(with_secrets(kind)).encode()
    assert PLANTED.encode() in raw
    one = decode_object(raw, kind)
    assert one is not None
    assert PLANTED not in repr(one)
    assert PLANTED not in repr(fabric.read(FabricObjects({kind: (one,)})))


@pytest.mark.parametrize(("fabric", "kind"), CASES)
def test_no_adapter_asks_for_objects_that_are_secrets(fabric: ReadableFabric, kind: FabricKind) -> None:
    assert kind.resource not in SECRET_KINDS, fabric.NAME
    assert kind.keeps, "an adapter names the fields that it reads"


def values_at(path: str) -> list[dict[str, Any]]:
    """The same field in every wrong form: other types, endless text, control characters, a thousand peers."""
    long = "x" * 1_000_000
    deep: Any = "end"
    for _ in range(200):
        deep = {"a": [deep]}
    control = "\x1b[31m\u202e\x00\nnext line"
    odd: list[Any] = [
        None, 5, -1, 1e308, True, "", "x", control, long, [], [[]], {}, deep, [deep], [None, 5, "x", control],
        [{"status": control, "endpoint": {"cluster_id": control}}],
        [{"status": "connected", "endpoint": {"cluster_id": f"peer-{n}"}} for n in range(1_000)],
        ["999.1.1.1", "10.0.0.0/99", "::ffff:999"], {"cluster_id": 5, "hostname": [], "backend": {}},
    ]  # fmt: skip
    return [nest(path, each) for each in odd]


@pytest.mark.parametrize(("fabric", "kind"), CASES)
def test_a_hostile_object_is_one_clear_line_and_stops_nothing(
    fabric: ReadableFabric, kind: FabricKind
) -> None:
    marks = dict.fromkeys((*kind.annotations, *kind.labels), "true")
    meta = {"namespace": "n", "annotations": marks, "labels": marks}
    good = {"metadata": {"name": "good", **meta}}
    for path in kind.keeps:
        for body in values_at(path):
            hostile = {"metadata": {"name": "bad\x1b[2J", **meta}, **body}
            objects = [decode_object(json.dumps(each).encode(), kind) for each in (hostile, good)]
            found = fabric.read(FabricObjects({kind: tuple(one for one in objects if one is not None)}))
            expect_calm(found)


def expect_calm(found: FabricFacts) -> None:
    """Lines that a terminal can show, of bounded number and length."""
    assert len(found.unread) <= MAX_NOTES + 1
    text = msgspec.json.encode(found).decode()
    for each in (*map(str, found.unread), *(claim.message for claim in found.claims)):
        assert len(each) <= 2 * MAX_TEXT
        assert each.isprintable(), each
    assert "\\u001b" not in text
    assert "\\u0000" not in text


@pytest.mark.parametrize(("fabric", "kind"), CASES)
def test_an_object_that_is_too_large_is_named_and_not_read(fabric: ReadableFabric, kind: FabricKind) -> None:
    marks = dict.fromkeys((*kind.annotations, *kind.labels), "true")
    meta = {"name": "large", "annotations": marks, "labels": marks}
    large = {"metadata": meta, "spec": {"x": "y" * MAX_OBJECT_BYTES}}
    one = decode_object(json.dumps(large).encode(), kind)
    assert one is not None
    assert one.body == {}
    lines = [str(line) for line in fabric.read(FabricObjects({kind: (one,)})).unread]
    assert all(line.startswith(f"{one.reference}: has 1,048,") for line in lines)
    assert len(lines) <= 1


@pytest.mark.parametrize(("fabric", "kind"), CASES)
def test_nesting_beyond_what_a_parser_can_hold_is_no_object(fabric: ReadableFabric, kind: FabricKind) -> None:
    depth = 50 * sys.getrecursionlimit()
    raw = b'{"metadata":{"name":"x"},"spec":' + b"[" * depth + b"]" * depth + b"}"
    one = decode_object(raw, kind)
    assert one is None or one.body in ({}, {"spec": []})
    assert fabric.read(FabricObjects({kind: () if one is None else (one,)})).claims == ()


@pytest.mark.parametrize("raw", [b"", b"nonsense", b"5", b"[]", b"{}", b'{"metadata": 5}', b"\xff\xfe"])
def test_what_is_not_an_object_is_left_out(raw: bytes) -> None:
    assert decode_object(raw, READABLE[0].KINDS[0]) is None


@pytest.mark.parametrize("fabric", READABLE, ids=lambda fabric: fabric.NAME)
def test_without_objects_there_are_no_facts_and_no_problems(fabric: ReadableFabric) -> None:
    assert fabric in FABRICS
    assert fabric.read(FabricObjects()) == FabricFacts(fabric.NAME)


def test_kept_objects_are_small() -> None:
    kind = READABLE[0].KINDS[0]
    whole = {"metadata": {"name": "x"}, "spec": {"unused": "y" * 100_000}}
    raw = json.dumps(whole).encode()
    tracemalloc.start()
    try:
        kept = [decode_object(raw, kind) for _ in range(100)]
        size_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == 100
    assert size_bytes < 100 * 4_096


@pytest.mark.parametrize("fabric", READABLE, ids=lambda fabric: fabric.NAME)
def test_the_component_grants_what_the_adapter_reads_and_nothing_else(fabric: ReadableFabric) -> None:
    import yaml  # noqa: PLC0415 - read in this test only

    folder = MANIFESTS / "components" / fabric.NAME.lower().replace(" ", "-")
    role, binding = yaml.safe_load_all((folder / "reader.yaml").read_text())
    granted = {
        (group, resource, *rule.get("resourceNames", [""]))
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert granted == {(kind.group, kind.resource, kind.name) for kind in fabric.KINDS}
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"list", "watch"}
    # The hub reads its own cluster as the account of its pod, and every other one as the reader.
    assert [one["name"] for one in binding["subjects"]] == ["netprobe-reader", "netprobe-collector"]
