"""Other versions and hostile objects of systems that list clusters: one clear line, and no other harm."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.discovery.cluster_sources.source import ClusterSource
from netprobe.discovery.fabrics.fields import MAX_NOTES, MAX_TEXT
from netprobe.discovery.fabrics.objects import MAX_OBJECT_BYTES, FabricKind, FabricObjects, decode_object
from netprobe.discovery.k8s.declared_clusters import SourceReading
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.model.declared_cluster import DeclaredClusters
from netprobe.render.terminal.declared_clusters import declared_document, declared_table
from netprobe.render.terminal.tables import render_text
from tests.unit.discovery.cluster_sources import declared_objects as made
from tests.unit.discovery.cluster_sources.declared_objects import MADE, MadeSource, b64
from tests.unit.discovery.cluster_sources.test_sources import EACH
from tests.unit.discovery.fabrics.object_changes import changes_of

Objects = dict[str, list[Any]]


def objects_of(source: ClusterSource, whole: MadeSource) -> Objects:
    """Every object by plural: listed ones, and those that they name."""
    found = copy.deepcopy(whole.items)
    for path, one in whole.objects.items():
        found.setdefault(path.split("/")[-2], []).append(one)
    assert found.keys() <= {kind.resource for kind in (*source.kinds, *source.referred_kinds)}
    return found


def read(source: ClusterSource, objects: Objects) -> DeclaredClusters:
    by_kind: dict[FabricKind, Any] = {}
    for kind in (*source.kinds, *source.referred_kinds):
        decoded = (decode_object(json.dumps(one).encode(), kind) for one in objects.get(kind.resource, []))
        by_kind[kind] = tuple(one for one in decoded if one is not None)
    list(source.referred(FabricObjects(by_kind)))
    return source.read(FabricObjects(by_kind))


def expect_calm(found: DeclaredClusters) -> None:
    """Bounded lines that a terminal can show, in every form of output."""
    assert len(found.unread) <= MAX_NOTES + 1
    assert all(len(str(one)) <= 2 * MAX_TEXT and str(one).isprintable() for one in found.unread)
    readings = [SourceReading(Context("x", None), found)]
    shown = render_text(declared_table(readings, None, now_ns=made.LATER_NS), width=80)
    assert "\x1b" not in shown
    assert msgspec.json.encode(declared_document(readings, None))


@EACH
@given(data=st.data())
def test_changed_fields_are_never_fatal_and_change_no_other_cluster(
    source: ClusterSource, data: st.DataObject
) -> None:
    objects = objects_of(source, MADE[source.name]())
    (intact,) = read(source, objects).clusters
    for _ in range(data.draw(st.integers(1, 4))):
        objects = data.draw(changes_of(objects)).replaced_in(objects)
    expect_calm(read(source, objects))
    beside = objects_of(source, MADE[source.name]())
    for resource, items in objects.items():
        for one in items:
            if isinstance(one.get("metadata"), dict):
                one["metadata"]["namespace"] = "other"
            beside.setdefault(resource, []).append(one)
    found = read(source, beside)
    expect_calm(found)
    assert intact.address in [one.address for one in found.clusters if one.name == "prod"]


@EACH
@given(text=st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_a_secret_may_hold_anything(source: ClusterSource, text: str) -> None:
    objects = objects_of(source, MADE[source.name]())
    for one in objects.get("secrets", []):
        for key in one["data"]:
            one["data"][key] = b64(text)
    expect_calm(read(source, objects))


@EACH
@pytest.mark.parametrize(
    "value",
    [
        b64("x" * 900_000),
        "not base64 \x00",
        b64("[" * 30_000),
        b64("\x1b[2J\u202e\x00"),
        b64('{"a":' * 9_000),
    ],
    ids=["endless", "not base64", "deep list", "control characters", "deep mapping"],
)
def test_a_hostile_value_is_one_line(source: ClusterSource, value: str) -> None:
    objects = objects_of(source, MADE[source.name]())
    for one in objects.get("secrets", []):
        one["data"] = dict.fromkeys((*one["data"], "caBundle", "value", "config", "server", "name"), value)
    expect_calm(read(source, objects))


@EACH
def test_many_clusters_and_one_too_large_are_read_and_named(source: ClusterSource) -> None:
    objects = objects_of(source, MADE[source.name]())
    main = source.kinds[0].resource
    one = objects[main][0]
    objects[main] = [
        {**copy.deepcopy(one), "metadata": {"name": f"c{number}", "namespace": "n"}} for number in range(200)
    ]
    large = {**copy.deepcopy(one), "spec": {"x": "y" * MAX_OBJECT_BYTES}}
    found = read(source, {**objects, main: [*objects[main], large]})
    expect_calm(found)
    assert any("bytes, of" in line.problem for line in found.unread)
    assert len(found.clusters) >= 1
