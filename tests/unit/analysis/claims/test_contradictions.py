"""Claims held against packets of a simulated fleet, in both directions, and claims that do not count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby

import pytest

from benchmarks.vectorised_world import CalmWorld
from netprobe.analysis.analyst import Analyst, Conclusion
from netprobe.analysis.claims.quotes import quote_claim
from netprobe.analysis.claims.table import CLAIMS, CLOCK_ALLOWANCE_NS
from netprobe.analysis.intervals.assembler import QuietWindows
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.fabric import Claim, ClaimKind, ClaimState, ClaimSubject, ObjectReference, SubjectKind
from netprobe.model.finding import Cause, Finding
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.simulate.effects import SimulatedFault
from netprobe.simulate.faults import make_fault
from netprobe.simulate.fleet import FleetShape, build_inventory

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
INTERVAL = 10 * SECOND
LAG = CLAIMS[ClaimKind.SUBMARINER_CONNECTION].lag_ns // INTERVAL + 1
"""Intervals after which a gateway must have noticed."""
BETWEEN = {"source": "c01", "target": "c02"}
GATEWAY = ObjectReference("submariner.io", "gateways", "submariner-operator", "gw1")
ROUTE_AGENT = ObjectReference("submariner.io", "routeagents", "submariner-operator", "w01")


@cache
def fleet() -> tuple[Inventory, FleetPlan]:
    inventory = build_inventory(FleetShape(clusters=3, nodes=3))
    links = tuple(replace(link, known_from="Submariner") for link in inventory.links)
    inventory = replace(inventory, links=links)
    return inventory, plan_fleet(inventory, epoch=1, seed=1, interval_ns=INTERVAL, cookie_key=b"key")


def claim(state: ClaimState, *, value: str = "", far: str = "c02", **more: int | None) -> Claim:
    subject = ClaimSubject(SubjectKind.LINK, "c01", far)
    value = value or {ClaimState.DOWN: "error"}.get(state, "connected")
    field = "status.connections[0].status"
    kind = ClaimKind.SUBMARINER_CONNECTION
    return Claim(kind, "Submariner", GATEWAY, field, value, state, subject, **more)  # type: ignore[arg-type]


def route_claim(state: ClaimState, node: str) -> Claim:
    subject = ClaimSubject(SubjectKind.NODE_ROUTE, "c01", "c02", node)
    field = "status.remoteEndpoints[0].status"
    kind = ClaimKind.SUBMARINER_ROUTE_AGENT
    return Claim(kind, "Submariner", ROUTE_AGENT, field, "connected", state, subject)


def fault(kind: str, start: int, stop: int, **parameters: str) -> SimulatedFault:
    made = make_fault(fleet()[0], kind, parameters or BETWEEN)
    return replace(made, start_ns=T0 + start * INTERVAL, end_ns=T0 + stop * INTERVAL)


def play(
    claims: Iterable[Claim], faults: Sequence[SimulatedFault] = (), *, intervals: int, writes: bool = False,
    well_from: int | None = None,
) -> list[Conclusion]:  # fmt: skip
    """What is concluded after each interval; with *writes* every claim is written again each time.

    From the interval *well_from* on, every claim says that all is well.
    """
    inventory, plan = fleet()
    analyst, said = Analyst(inventory, plan), tuple(claims)
    analyst.hear_claims(said)
    world = CalmWorld(PlanIndex(inventory, plan), faults, seed=3, start_ns=T0)
    found = []
    reports = world.play(start_ns=T0, intervals=intervals)
    for turn, together in groupby(reports, key=lambda one: (one.at_ns - T0) // INTERVAL):
        if turn == well_from:
            said = tuple(replace(one, state=ClaimState.UP, value="connected") for one in said)
            analyst.hear_claims(said)
        for delivery in together:
            if isinstance(delivery.report, QuietWindows):
                analyst.observe_quiet(delivery.report, now_ns=delivery.at_ns)
            else:
                analyst.observe(delivery.report, now_ns=delivery.at_ns)
        if writes:
            analyst.hear_claims(tuple(replace(one, written_ns=delivery.at_ns) for one in said))
        found.append(analyst.conclude(now_ns=delivery.at_ns + INTERVAL // 2))
    return found


def contradictions(said: Conclusion) -> list[Finding]:
    return [finding for finding in said.findings if finding.cause is Cause.STATUS_CONTRADICTED]


def texts(finding: Finding) -> tuple[str, str]:
    return tuple(  # type: ignore[return-value]
        "\n".join(str(one.text) for one in side) for side in (finding.evidence_for, finding.evidence_against)
    )


@pytest.mark.parametrize("state", [ClaimState.UP, ClaimState.UNVERIFIED])
def test_called_connected_and_dead_is_a_finding_beside_that_of_the_packets(state: ClaimState) -> None:
    last = play([claim(state)], [fault("tunnel-down", 5, 15)], intervals=12)[-1]
    packets, = (one for one in last.findings if one.cause is Cause.TUNNEL_DOWN)  # fmt: skip
    (found,) = contradictions(last)
    assert set(map(str, found.components)) == {"tunnel(c01→c02)", "tunnel(c02→c01)"}
    said, _ = texts(found)
    assert (
        "gateways.submariner.io submariner-operator/gw1: status.connections[0].status is “connected”" in said
    )
    assert f"packets: {packets.summary}" in said
    assert ("shows to be measured" in said) is (state is ClaimState.UNVERIFIED)
    assert found.confidence <= packets.confidence
    assert "Submariner's gateway calls" in str(found.summary)
    assert "connected" in texts(packets)[1], "the claim speaks against the finding of the packets"


def test_a_claim_that_agrees_is_evidence_and_no_finding() -> None:
    last = play([claim(ClaimState.DOWN)], [fault("tunnel-down", 5, 15)], intervals=12)[-1]
    (packets,) = last.findings
    assert packets.cause is Cause.TUNNEL_DOWN
    assert "is “error”" in texts(packets)[0]


def test_the_claimant_gets_the_time_that_it_needs() -> None:
    found = play([claim(ClaimState.UP)], [fault("tunnel-down", 5, 20)], intervals=14)
    named = next(turn for turn, one in enumerate(found) if one.findings)
    against = next(turn for turn, one in enumerate(found) if contradictions(one))
    assert LAG - 1 <= against - named <= LAG


def test_a_claim_that_gets_well_before_the_finding_ends_is_not_contradicted() -> None:
    """A gateway pings each second and sees the end of a fault before packets of ours have shown it."""
    found = play([claim(ClaimState.DOWN)], [fault("tunnel-down", 5, 15)], intervals=22, well_from=15)
    assert any(one.cause is Cause.TUNNEL_DOWN for one in found[15].findings)
    assert [turn for turn, one in enumerate(found[15:], 15) if contradictions(one)] == []


def test_it_ends_with_what_it_is_about() -> None:
    last = play([claim(ClaimState.UP)], [fault("tunnel-down", 5, 12)], intervals=20)[-1]
    assert last.findings == ()
    (past,) = (one for one in last.past_findings if one.cause is Cause.STATUS_CONTRADICTED)
    assert past.ended_ns is not None
    assert past.ended_ns > past.first_seen_ns


def test_a_claimant_that_no_longer_writes_claims_nothing() -> None:
    fresh_ns = 15 * SECOND
    old = claim(ClaimState.UP, written_ns=T0, fresh_ns=fresh_ns)
    down = [fault("tunnel-down", 5, 15)]
    assert CLOCK_ALLOWANCE_NS + fresh_ns < 5 * INTERVAL
    silent, writing = (play([old], down, intervals=12, writes=writes)[-1] for writes in (False, True))
    assert contradictions(silent) == []
    assert len(contradictions(writing)) == 1
    assert "written " in texts(contradictions(writing)[0])[0]


def test_called_broken_and_answering_is_a_finding_after_the_same_time() -> None:
    found = play([claim(ClaimState.DOWN)], intervals=10)
    against = next(turn for turn, one in enumerate(found) if contradictions(one))
    assert LAG - 1 <= against <= LAG + 1
    (finding,) = contradictions(found[-1])
    assert set(map(str, finding.components)) == {"tunnel(c01→c02)", "tunnel(c02→c01)"}
    assert "calls" in str(finding.summary)
    assert "probes that cross it were answered" in texts(finding)[0]
    assert finding.affected == (), "nothing fails because of it"


def test_called_broken_while_some_packets_are_lost_is_left_to_the_packets() -> None:
    lossy = [fault("tunnel-lossy", 0, 20, **BETWEEN, percent="30")]
    assert not any(contradictions(one) for one in play([claim(ClaimState.DOWN)], lossy, intervals=12))


@pytest.mark.parametrize("state", list(ClaimState))
def test_claims_that_are_right_or_about_what_is_not_asked_are_no_findings(state: ClaimState) -> None:
    claims = [claim(ClaimState.UP), claim(state, far="elsewhere"), route_claim(state, "no-such-node")]
    assert not any(one.findings for one in play(claims, intervals=8))


def test_another_link_that_is_down_contradicts_nothing() -> None:
    other = [fault("tunnel-down", 3, 12, source="c01", target="c03")]
    last = play([claim(ClaimState.UP)], other, intervals=10)[-1]
    assert [one.cause for one in last.findings] == [Cause.TUNNEL_DOWN]
    assert "Submariner" not in "".join(texts(last.findings[0]))


def test_a_nodes_route_that_its_agent_calls_well_and_packets_find_missing() -> None:
    lag = CLAIMS[ClaimKind.SUBMARINER_ROUTE_AGENT].lag_ns // INTERVAL
    missing = [fault("route-missing", 3, 4 + 2 * lag, node="c01/w01", cluster="c02")]
    claims = [route_claim(ClaimState.UP, "w01"), route_claim(ClaimState.UP, "w02")]
    found = play(claims, missing, intervals=lag + 12)
    assert any(one.cause is Cause.ROUTE_MISSING for one in found[-1].findings)
    (finding,) = contradictions(found[-1])
    assert [str(part.source) for part in finding.components] == ["c01/w01"]
    assert not contradictions(found[lag])


def test_a_node_whose_overlay_is_blocked_though_its_route_agent_calls_every_peer_connected() -> None:
    lag = CLAIMS[ClaimKind.SUBMARINER_ROUTE_AGENT].lag_ns // INTERVAL
    blocked = [fault("overlay-blocked", 3, 4 + 2 * lag, node="c01/w01", other="c01/gw1")]
    claims = [claim(ClaimState.UP), route_claim(ClaimState.UP, "w01"), route_claim(ClaimState.UP, "w02")]
    last = play(claims, blocked, intervals=lag + 12)[-1]
    assert any(one.cause is Cause.OVERLAY_BLOCKED for one in last.findings)
    (finding,) = contradictions(last)
    assert {str(part) for part in finding.components} == {
        "overlay(c01/w01→c01/gw1)",
        "overlay(c01/gw1→c01/w01)",
    }
    assert "routeagents.submariner.io submariner-operator/w01" in texts(finding)[0]


def test_a_route_that_its_agent_calls_broken_and_that_passes_beside_another_links_fault() -> None:
    lag = CLAIMS[ClaimKind.SUBMARINER_ROUTE_AGENT].lag_ns // INTERVAL
    other = [fault("tunnel-down", 3, 2 * lag, source="c01", target="c03")]
    last = play([route_claim(ClaimState.DOWN, "w01")], other, intervals=lag + 6)[-1]
    (finding,) = contradictions(last)
    assert list(map(str, finding.components)) == ["overlay(c01/w01→c01/gw1 to c02)"]


def test_every_kind_of_claim_has_a_row() -> None:
    assert set(CLAIMS) == set(ClaimKind)


def test_a_quote_says_what_the_object_says_and_how_old_it_is() -> None:
    one = claim(ClaimState.UNVERIFIED, written_ns=T0 - 3 * SECOND, fresh_ns=15 * SECOND)
    assert str(quote_claim(replace(one, message="no health check"), now_ns=T0)) == (
        "Submariner, gateways.submariner.io submariner-operator/gw1: status.connections[0].status is "
        "“connected” (“no health check”), which nothing in the object shows to be measured; written 3 s ago"
    )
