"""``netprobe.open``: frames that agree with the values they come from, shown safely, loaded late."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import networkx as nx
import pytest

import netprobe
from netprobe.errors import InputError, MisuseError
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.prose import Prose
from netprobe.model.snapshot import Snapshot
from netprobe.model.window import AgentHealth, Histogram, ReceivedCount, Report, Window
from netprobe.notebook import Fleet
from netprobe.store.bundle import write_bundle
from tests import fleets

INTENT = """
version: 1
groups:
  prod: {clusters: ["prod-*"], planes: [pod]}
  dev: {clusters: ["dev-*"], planes: [pod]}
  staging: {clusters: ["staging-*"], planes: [pod]}
rules:
  - {name: prod to staging, verdict: allow, from: prod, to: staging, ports: [tcp/9771]}
  - {name: dev stays out, verdict: deny, from: dev, to: prod, ports: [tcp/9771, tcp/22]}
"""


def history(snapshot: Snapshot) -> tuple[Report, ...]:
    """Two intervals of one check: all answered, then half of it lost."""
    check = snapshot.checks[0]
    agent = check.source
    health = AgentHealth(agent, fleets.TAKEN_NS, 1)
    windows = [
        Window(check.id, start, 10**9, 10, answered, ((OutcomeKind.REACHED, answered),),
               rtt=Histogram.of([2_000_000] * answered))
        for start, answered in ((fleets.TAKEN_NS - 2 * 10**9, 10), (fleets.TAKEN_NS - 10**9, 5))
    ]  # fmt: skip
    return tuple(
        Report(agent, 1, number, "boot", window.start_ns, 10**9, (window,),
               (ReceivedCount(check.id, window.start_ns, 9),) if number else (), health)
        for number, window in enumerate(windows)
    )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    snapshot = fleets.several()
    write_bundle(tmp_path / "evidence", snapshot, history(snapshot))
    return tmp_path / "evidence"


@pytest.fixture
def fleet(place: Path) -> Fleet:
    return netprobe.open(place)


def test_a_bundle_is_opened_by_its_path(fleet: Fleet) -> None:
    assert fleet.taken == dt.datetime(2026, 11, 23, 7, 10, 12, tzinfo=dt.UTC)
    assert fleet.verdict.startswith("5 findings: DNS of dev is down")
    assert repr(fleet) == f"<Fleet of 3 clusters at 2026-11-23 07:10:12: {fleet.verdict}>"
    assert isinstance(fleet.topology, nx.MultiDiGraph)
    assert "prod-us-west-1/gw" in fleet.topology


def test_paths_are_rows_that_agree_with_the_snapshot(fleet: Fleet) -> None:
    paths = fleet.paths
    assert len(paths) == len(fleet.snapshot.paths)
    seen = paths["state"].value_counts().to_dict()
    assert seen == {"up": 103, "down": 188, "degraded": 72, "unknown": 57}
    down = paths[paths["state"] == "down"]
    assert down["rtt_p50_ms"].isna().all(), "a lost probe has no round trip, and never 0"
    assert (down["loss"] == 1).all()
    assert str(paths["since"].dtype).endswith(", UTC]")


def test_windows_are_the_history_in_order(fleet: Fleet) -> None:
    windows = fleet.windows
    assert list(windows["loss"]) == [0.0, 0.5]
    assert windows["rtt_p50_ms"].between(1.8, 2.2).all()
    assert list(windows["heard"].fillna(-1)) == [-1, 9], "what the far end never told is missing, not 0"
    assert windows["start"].is_monotonic_increasing
    assert set(windows["source"]) == {str(fleet.snapshot.checks[0].source)}


def test_without_history_there_are_no_windows_but_their_columns(fleet: Fleet) -> None:
    bare = Fleet(fleet.snapshot)
    assert bare.windows.empty
    assert list(bare.windows.columns) == list(fleet.windows.columns)


def test_findings_are_values_and_rows(fleet: Fleet) -> None:
    assert [str(finding.cause) for finding in fleet.findings][:2] == ["dns-down", "agent-sick"]
    assert list(fleet.findings.frame["cause"])[:2] == ["dns-down", "agent-sick"]
    assert len(fleet.findings[1:3]) == 2
    down = fleet.findings[2]
    affected = fleet.find_affected(down)
    assert len(affected) == len(down.affected) > 0
    assert set(affected["state"]) <= {"down", "degraded"}


def test_the_matrix_has_a_gap_where_nobody_asks() -> None:
    matrix = Fleet(fleets.large()).matrix(by="cluster")
    assert matrix.loc["us-west-01", "us-west-03"] == "down"
    assert matrix.isna().to_numpy().any()
    with pytest.raises(InputError, match="'rack' is neither 'node' nor 'cluster'"):
        Fleet(fleets.healthy()).matrix(by="rack")


def test_an_intent_is_held_against_what_was_seen(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "intent.yaml").write_text(INTENT)
    told = fleet.against(tmp_path / "intent.yaml")
    seen = told.frame.groupby(["rule", "door"])["verdict"].unique().map(set).to_dict()
    assert seen["prod to staging", "tcp/9771"] == {"broken", "unproven"}, (
        "the tunnel is down, one agent silent"
    )
    assert seen["dev stays out", "tcp/9771"] <= {"leak", "unproven", "as intended"}
    assert seen["dev stays out", "tcp/22"] == {"unproven"}, "no check asks port 22, so nothing is claimed"


def test_an_open_way_that_must_not_be_is_a_leak(tmp_path: Path) -> None:
    (tmp_path / "intent.yaml").write_text(INTENT)
    told = Fleet(fleets.healthy()).against(tmp_path / "intent.yaml")
    verdicts = told.frame.groupby("rule")["verdict"].unique().map(set)
    assert "leak" in verdicts["dev stays out"]
    assert verdicts["prod to staging"] == {"as intended"}


def test_two_moments_are_compared(fleet: Fleet) -> None:
    told = fleet.since(Fleet(fleets.healthy()))
    assert told.title.startswith("worse than allowed: ")
    assert set(told.frame["change"]) == {"broken", "degraded", "unmeasured"}


def test_a_report_is_written_in_the_form_of_its_suffix(fleet: Fleet, tmp_path: Path) -> None:
    fleet.report().write(tmp_path / "r.md")
    assert (tmp_path / "r.md").read_text().startswith("# 5 findings")
    fleet.draw_matrix(by="cluster").save(tmp_path / "m.png")
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(MisuseError):
        _ = fleet.report().frame


def test_what_is_shown_is_escaped() -> None:
    found = replace(fleets.tunnel_down_finding(), summary=Prose("<script>alert(1)</script>"))
    fleet = Fleet(replace(fleets.tunnel_down(), findings=(found,)))
    shown = fleet.findings._repr_html_()
    assert "&lt;script&gt;" in shown
    assert "<script" not in shown + fleet._repr_html_()
    assert Fleet(fleets.healthy()).findings._repr_html_() == "<p>No findings.</p>"


def test_a_picture_says_in_words_what_it_shows(fleet: Fleet) -> None:
    shown = fleet.draw_map()._repr_html_()
    assert 'role="img" aria-label="Map: 5 findings: DNS of dev is down' in shown
    assert "<svg" in shown


@pytest.mark.parametrize(
    ("where", "told"),
    [("nowhere", "nowhere: is not an evidence bundle: no such directory"),
     ("https://x", "https://x: is neither a directory nor a URL with nats://, tls://, ws://, wss://"),
     ("nats://127.0.0.1:1", "nats://127.0.0.1:1: needs seed=FILE, the key that may ask")],
)  # fmt: skip
def test_a_wrong_place_is_one_clear_error(where: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        netprobe.open(where)
    assert str(caught.value) == told


_HEAVY = ("pandas", "numpy", "networkx", "matplotlib", "rich", "yaml", "msgspec", "jinja2", "click")
_LIGHT = f"""
import sys, netprobe
assert netprobe.__version__
print(*[name for name in {_HEAVY} if name in sys.modules])
fleet = netprobe.open(sys.argv[1])
print("pandas" in sys.modules, len(fleet.findings), "pandas" in sys.modules, len(fleet.paths) > 0,
      "pandas" in sys.modules)
"""


def test_importing_netprobe_loads_nothing_and_pandas_waits_for_the_first_frame(place: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", _LIGHT, place], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["", "False 5 False True True"]


def test_an_unknown_name_is_still_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'opn'"):
        _ = netprobe.opn  # type: ignore[attr-defined]


def test_the_agent_ids_in_frames_can_be_parsed(fleet: Fleet) -> None:
    assert {str(AgentId.parse(name)) for name in fleet.paths["source"]} == set(fleet.paths["source"])
