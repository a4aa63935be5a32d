"""Documents for machines: named, versioned, plain, and null for unknown values."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from syrupy.assertion import SnapshotAssertion

from netprobe.model.snapshot import Snapshot
from netprobe.render.documents import snapshot as documents
from tests import fleets

MAKERS: dict[str, Callable[[Snapshot], documents.Document]] = {
    "topology": documents.topology_document,
    "matrix": documents.matrix_document,
    "agents": documents.agents_document,
    "coverage": documents.coverage_document,
    "findings": documents.findings_document,
    "report": documents.report_document,
}


def shape(value: object) -> object:
    """The shape of a document: of lists only the first entry, of leaves only the type."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


@pytest.mark.parametrize("what", MAKERS)
def test_the_shape_is_what_readers_rely_on(what: str, snapshot: SnapshotAssertion) -> None:
    assert shape(MAKERS[what](fleets.several())) == snapshot


@pytest.mark.parametrize("fleet", fleets.EVERY)
@pytest.mark.parametrize("what", MAKERS)
def test_a_document_has_its_schema_and_version(what: str, fleet: str) -> None:
    document = MAKERS[what](fleets.EVERY[fleet]())
    assert (document["schema"], document["version"]) == (f"netprobe/{what}", 1)
    assert json.loads(json.dumps(document)) == document, "plain values only"


def test_a_link_that_is_down_has_no_rtt() -> None:
    links = documents.topology_document(fleets.tunnel_down())["links"]
    assert isinstance(links, list)
    assert [(link["state"], link["rtt_ms"], link["loss"]) for link in links if link["state"] == "down"] == [
        ("down", None, None)
    ] * 2
