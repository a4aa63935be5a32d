"""``netprobe impact`` and ``netprobe show weak-points``: offline from a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from netprobe.errors import InputError
from netprobe.store.bundle import write_bundle
from tests import fleets
from tests.unit.cli.commands.test_show import run


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("impact") / "evidence"
    write_bundle(path, fleets.tunnel_down())
    return path


@pytest.mark.parametrize(
    "words",
    [
        ("show", "weak-points"),
        ("impact", "prod/gw"),
        ("impact", "prod", "staging"),
        ("impact", "dns(dev-on-premise)"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_it_reads_well(words: tuple[str, ...], bundle: Path, snapshot: SnapshotAssertion) -> None:
    result = run(*words, "--from", bundle)
    assert "\n".join(line.rstrip() for line in result.output.splitlines()) == snapshot


def test_machines_get_the_pairs(bundle: Path) -> None:
    document = json.loads(run("impact", "prod", "dev", "-o", "json", "--from", bundle).output)
    assert document["schema"] == "netprobe/impact"
    assert len(document["node_pairs"]) == 2 * 3 * 2
    (around,) = document["ways_around"]
    assert around["way"] is None, "over staging it would be, but that tunnel is down"


COMPLAINTS = {
    "prod": "'prod' is not a node, a pair of clusters or a component such as tunnel(prod→dev)",
    "tunnel(a→b)": "no check crosses tunnel(a→b), so what depends on it is unknown",
    "tunnel(": "'tunnel(' is not a component such as tunnel(prod→dev)",
    "prod/w9": "prod-us-west-1 has no node 'w9'; it has gw, w1, w2",
}


@pytest.mark.parametrize("text", COMPLAINTS)
def test_what_is_no_part_is_one_clear_line(text: str, bundle: Path) -> None:
    result = run("impact", text, "--from", bundle)
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == COMPLAINTS[text]
