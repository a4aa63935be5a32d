"""Evidence bundles: what is read equals what was written, and damage is named in one line."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.errors import InputError
from netprobe.model.check import Legs
from netprobe.model.finding import Cause, Evidence, Finding
from netprobe.model.names import AgentId, Plane
from netprobe.model.outcome import OutcomeKind
from netprobe.model.snapshot import Counters, Snapshot
from netprobe.model.ssh import SshAccess, SshForward, SshHop
from netprobe.model.status import (
    AgentState,
    AgentStatus,
    PathState,
    PathStatus,
)
from netprobe.model.window import AgentHealth, Histogram, ReceivedCount, Report, Window
from netprobe.store.bundle import Bundle, read_bundle, write_bundle
from tests import fleets

AGENT = AgentId(fleets.PROD, fleets.node_id(fleets.PROD, "w1").node, Plane.POD)
REPORT = Report(
    agent=AGENT,
    epoch=1,
    sequence=7,
    boot="b1",
    start_ns=fleets.TAKEN_NS,
    length_ns=fleets.INTERVAL_NS,
    windows=(
        Window(fleets.healthy().checks[0].id, fleets.TAKEN_NS, fleets.INTERVAL_NS, 3, 2,
               ((OutcomeKind.REACHED, 2), (OutcomeKind.TIMED_OUT, 1)), lost_out=1, rtt=Histogram.of([3, 4])),
    ),
    heard=(ReceivedCount(fleets.healthy().checks[1].id, fleets.TAKEN_NS, 3),),
    health=AgentHealth(AGENT, fleets.TAKEN_NS, 1),
)  # fmt: skip


@pytest.mark.parametrize("name", fleets.EVERY)
def test_a_snapshot_survives_the_disk(name: str, tmp_path: Path) -> None:
    snapshot = fleets.EVERY[name]()
    write_bundle(tmp_path / "evidence", snapshot, [REPORT])
    assert read_bundle(tmp_path / "evidence") == Bundle(snapshot, (REPORT,))


_whole = st.integers(min_value=0, max_value=2**62)
_share = st.none() | st.floats(0, 1)
_component = st.sampled_from(sorted({each for legs in fleets.healthy().legs for each in legs.forward}))
_some = st.lists(_component, max_size=4).map(tuple)
_others = st.lists(_some, max_size=2).map(tuple)
_legs = st.builds(Legs, check=_whole, forward=_some, back=_some, forward_others=_others, back_others=_others)
_agents = st.sampled_from(tuple(fleets.healthy().inventory.iter_agents()))
_findings = st.builds(
    Finding, id=st.text(), components=_some, cause=st.sampled_from(Cause), confidence=st.floats(0, 1),
    summary=st.text(), hidden=_some, ended_ns=st.none() | _whole, loss=_share,
    evidence_for=st.lists(st.builds(Evidence, text=st.text()), max_size=2).map(tuple),
)  # fmt: skip
_snapshots = st.builds(
    Snapshot,
    taken_ns=st.integers(0, 4_000_000_000_000_000_000),
    interval_ns=_whole,
    inventory=st.just(fleets.default_inventory()),
    legs=st.lists(_legs, max_size=4).map(tuple),
    paths=st.lists(
        st.builds(PathStatus, check=_whole, state=st.sampled_from(PathState), since_ns=_whole,
                  reason=st.text(), rtt_p50_ns=st.none() | st.floats(0, 1e12)),
        max_size=4,
    ).map(tuple),
    agents=st.lists(
        st.builds(AgentStatus, agent=_agents, state=st.sampled_from(AgentState)), max_size=3
    ).map(tuple),
    findings=st.lists(_findings, max_size=3).map(tuple),
    counters=st.builds(Counters, *[_whole] * 5),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(snapshot=_snapshots)
def test_any_snapshot_survives_the_disk(snapshot: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("law") / "evidence"
    write_bundle(path, snapshot)
    assert read_bundle(path) == Bundle(snapshot)


def test_equal_snapshots_give_equal_files(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_bundle(tmp_path / name, fleets.several())
    files = [
        sorted((path.name, path.read_bytes()) for path in (tmp_path / name).iterdir())
        for name in ("one", "other")
    ]
    assert files[0] == files[1]


def test_a_newer_bundle_takes_the_place_of_the_older(tmp_path: Path) -> None:
    write_bundle(tmp_path / "evidence", fleets.healthy(), [REPORT])
    write_bundle(tmp_path / "evidence", fleets.tunnel_down())
    assert read_bundle(tmp_path / "evidence") == Bundle(fleets.tunnel_down())
    assert [path.name for path in tmp_path.iterdir()] == ["evidence"], "nothing temporary is left behind"


def test_a_directory_that_is_no_bundle_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="exists and is not an evidence bundle"):
        write_bundle(tmp_path, fleets.healthy())
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_bundle_does_not_say_how_hosts_are_reached(tmp_path: Path) -> None:
    snapshot = fleets.healthy()
    cluster, *others = snapshot.inventory.clusters
    access = SshAccess(SshHop("bastion.example", "admin", key="~/.ssh/secret"), sudo=True)
    node = replace(cluster.nodes[0], ssh=access)
    inventory = replace(
        snapshot.inventory,
        clusters=(replace(cluster, nodes=(node, *cluster.nodes[1:])), *others),
        forwards=(SshForward("hub", "10.0.0.1", 443, access),),
    )
    write_bundle(tmp_path / "evidence", replace(snapshot, inventory=inventory))
    assert read_bundle(tmp_path / "evidence").snapshot == snapshot
    text = (tmp_path / "evidence" / "inventory.json").read_text()
    assert not [word for word in ("bastion", "admin", "secret") if word in text]


# --- damage ----------------------------------------------------------------------------------


def _edit(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def _forge(path: Path, name: str, raw: bytes) -> None:
    """Replace a file and make the manifest agree, so that its content is what is judged."""
    (path / name).write_bytes(raw)
    entry = {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
    _edit(path / "manifest.json", lambda manifest: manifest["files"].update({name: entry}))  # type: ignore[attr-defined]


def _no_manifest(path: Path) -> None:
    (path / "manifest.json").unlink()


def _half_manifest(path: Path) -> None:
    (path / "manifest.json").write_bytes((path / "manifest.json").read_bytes()[:40])


def _flipped_bit(path: Path) -> None:
    raw = bytearray((path / "checks.jsonl.gz").read_bytes())
    raw[100] ^= 1
    (path / "checks.jsonl.gz").write_bytes(raw)


def _linked(path: Path) -> None:
    (path / "states.json").rename(path.parent / "elsewhere.json")
    (path / "states.json").symlink_to(path.parent / "elsewhere.json")


def _piped(path: Path) -> None:
    (path / "states.json").unlink()
    os.mkfifo(path / "states.json")


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (_no_manifest, "manifest.json: is missing from the evidence bundle"),
    "half a manifest": (_half_manifest, "manifest.json: is not JSON"),
    "another format": (lambda p: _edit(p / "manifest.json", lambda m: m.update(format="tar")),
                       "manifest.json: is not the manifest of an evidence bundle"),
    "another version": (lambda p: _edit(p / "manifest.json", lambda m: m.update(version=9)),
                        "manifest.json: has format version 9; this netprobe reads version 1"),
    "a file not listed": (lambda p: _edit(p / "manifest.json", lambda m: m["files"].pop("legs.jsonl.gz")),  # type: ignore[attr-defined]
                          "manifest.json: does not list legs.jsonl.gz"),
    "a path outside": (lambda p: _forge(p, "../outside.json", b"{}"),
                       "manifest.json: lists files of no known meaning: ['../outside.json']"),
    "a file gone": (lambda p: (p / "states.json").unlink(),
                    "states.json: is missing from the evidence bundle"),
    "a flipped bit": (_flipped_bit, "checks.jsonl.gz: is damaged"),
    "a truncated file": (lambda p: (p / "findings.json").write_bytes(b"{"), "findings.json: is damaged"),
    "a longer file": (lambda p: (p / "findings.json").write_bytes(bytes(1 << 20)),
                      "findings.json: is damaged: 1048576 bytes, of"),
    "a link": (_linked, "states.json: is a link"),
    "a pipe": (_piped, "states.json: is not a regular file"),
    "a year that is not": (lambda p: _edit(p / "manifest.json", lambda m: m.update(taken_ns=10**30)),
                           "manifest.json: does not fit"),
    "a size that is not": (lambda p: _edit(p / "manifest.json", lambda m: m.update(interval_ns=-1)),
                           "manifest.json: does not fit"),
    "a wrong type": (lambda p: _forge(p, "findings.json", b'{"open": 1, "past": []}'),
                     "findings.json: does not fit: Expected `array`, got `int` - at `$.open`"),
    "not gzip": (lambda p: _forge(p, "paths.jsonl.gz", b"plain"), "paths.jsonl.gz: is not gzip"),
    "half a gzip": (lambda p: _forge(p, "paths.jsonl.gz", gzip.compress(b"x" * 99)[:-9]),
                    "paths.jsonl.gz: ends too early"),
    "a bad line": (lambda p: _forge(p, "paths.jsonl.gz", gzip.compress(b"[]\n")),
                   "paths.jsonl.gz:1: does not fit"),
    "an unlisted component": (lambda p: _forge(p, "legs.jsonl.gz", gzip.compress(b"[]\n[1,[4],[]]\n")),
                                  "legs.jsonl.gz:2: names a component that is not listed"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_line_that_names_the_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "evidence"
    write_bundle(path, fleets.healthy())
    harm, said = DAMAGE[name]
    harm(path)
    with pytest.raises(InputError) as caught:
        read_bundle(path)
    assert str(caught.value).startswith(f"{path}/{said}")
    assert "\n" not in str(caught.value)


def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: is not an evidence bundle: no such directory"):
        read_bundle(tmp_path / "nowhere")
