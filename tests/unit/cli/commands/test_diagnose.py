"""``netprobe diagnose``: findings with whom they hit, then incidents; offline from a bundle."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import yaml
from syrupy.assertion import SnapshotAssertion

from netprobe.store.bundle import write_bundle
from tests import fleets
from tests.unit.cli.commands.test_show import run


def test_everything_broken_at_once_reads_well(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    write_bundle(tmp_path / "evidence", fleets.several())
    result = run("diagnose", "--from", tmp_path / "evidence")
    assert result.exit_code == 1
    assert "\n".join(line.rstrip() for line in result.output.splitlines()) == snapshot


def test_a_healthy_fleet_is_quiet(tmp_path: Path) -> None:
    write_bundle(tmp_path / "evidence", fleets.healthy())
    result = run("diagnose", "--from", tmp_path / "evidence")
    assert (result.exit_code, result.output.splitlines()[0]) == (
        0,
        "all 14 agents reach each other, nothing broken",
    )


def test_machines_get_pairs_and_incidents(tmp_path: Path) -> None:
    affected = (fleets.several().checks[0].id,)
    over = replace(fleets.lossy_finding(), ended_ns=fleets.TAKEN_NS, affected=affected)
    write_bundle(tmp_path / "evidence", replace(fleets.several(), past_findings=(over,)))
    as_json = json.loads(run("diagnose", "-o", "json", "--from", tmp_path / "evidence").output)
    assert as_json == yaml.safe_load(run("diagnose", "-o", "yaml", "--from", tmp_path / "evidence").output)
    tunnel = next(found for found in as_json["findings"] if found["cause"] == "tunnel-down")
    pairs = {(pair["source"], pair["target"]) for pair in tunnel["blast_radius"]["node_pairs"]}
    ends = {(source.partition("/")[0], target.partition("/")[0]) for source, target in pairs}
    assert ends == {(fleets.PROD, fleets.STAGING), (fleets.STAGING, fleets.PROD)}
    assert len(pairs) == 2 * 3 * 2, "every node of one with every node of the other, both ways"
    dns = next(found for found in as_json["findings"] if found["cause"] == "dns-down")
    assert dns["blast_radius"]["services"] == [f"{fleets.DEV}/dns"]
    (incident,) = as_json["incidents"]
    assert (incident["lasted_ns"], incident["paths_affected"]) == (64 * fleets.SECOND_NS, 1)
