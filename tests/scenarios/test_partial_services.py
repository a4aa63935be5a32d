"""Services and names that fail for some questions: named after enough intervals, and nothing else blamed."""

from __future__ import annotations

import pytest

from netprobe.model.component import Component, ComponentKind, service_proxy_for_dns, tunnel
from netprobe.model.finding import Cause, Finding
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.names import ClusterName, NodeId
from netprobe.simulate.effects import Lose, SimulatedFault
from tests.scenarios.player import at, default_fleet, play_effects
from tests.scenarios.player import play as run

PROD, STAGING = ClusterName("prod-us-west-1"), ClusterName("staging-eu-central-1")
WORKER = NodeId.parse(f"{PROD}/w2")
INTERVALS = 45


def find_parts(kind: ComponentKind, source: object) -> list[Component]:
    _, plan = default_fleet()
    parts = {part for legs in plan.legs for part in legs.forward}
    return sorted(part for part in parts if part.kind is kind and source in {part.node, part.cluster})


def play(*lost: Lose, until_s: int = 1000, intervals: int = INTERVALS) -> tuple[Finding, ...]:
    return play_effects(lost, intervals=intervals, end_s=until_s).findings


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_node_that_loses_some_questions_of_names_is_named(share: float) -> None:
    proxy = service_proxy_for_dns(WORKER)
    (finding,) = play(Lose(proxy, share))
    assert (finding.cause, finding.components) == (Cause.SERVICE_LOSSY, (proxy,))
    assert finding.loss == pytest.approx(share, abs=0.15)


def test_a_server_that_leaves_some_questions_unanswered_is_named_and_no_node() -> None:
    server = next(p for p in find_parts(ComponentKind.DNS, PROD) if not p.zone)
    (finding,) = play(Lose(server, 0.25))
    assert (finding.cause, finding.components) == (Cause.SERVICE_LOSSY, (server,))


def test_half_of_the_connections_to_a_service_fail_because_one_endpoint_is_dead() -> None:
    service = find_parts(ComponentKind.SERVICE, PROD)[0]
    (finding,) = play(Lose(service, 0.5))
    assert (finding.cause, finding.components) == (Cause.SERVICE_LOSSY, (service,))


def test_what_heals_is_closed() -> None:
    server = next(p for p in find_parts(ComponentKind.DNS, PROD) if not p.zone)
    assert play(Lose(server, 0.25), until_s=40, intervals=80) == ()


@pytest.mark.parametrize("share", [0.002, 0.01])
def test_a_question_lost_now_and_then_is_no_news(share: float) -> None:
    server = next(p for p in find_parts(ComponentKind.DNS, PROD) if not p.zone)
    assert play(Lose(server, share), intervals=80) == ()


@pytest.mark.slow
def test_a_lossy_link_is_not_blamed_on_the_services_behind_it() -> None:
    findings = play(Lose(tunnel(PROD, STAGING), 0.3), Lose(tunnel(STAGING, PROD), 0.3))
    assert {finding.cause for finding in findings} == {Cause.TUNNEL_LOSSY}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("cluster", [PROD, STAGING])
def test_a_dead_endpoint_of_two_accuses_no_proxy_at_any_moment(cluster: ClusterName, seed: int) -> None:
    part = find_parts(ComponentKind.SERVICE, cluster)[0]
    label = GroundTruth(Cause.SERVICE_LOSSY, (part,))
    fault = SimulatedFault("endpoint", label, (Lose(part, 0.5, is_hash=True),))
    outcome = run([at(fault, 6, end_s=INTERVALS)], seed=seed, intervals=INTERVALS)
    assert {finding.cause for _, finding in outcome.false.values()} <= {Cause.UNEXPLAINED}
    assert outcome.named_after_s
