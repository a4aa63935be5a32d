"""What a plan does not ask is read off its checks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.analysis.queries.unasked import Question, find_unasked
from netprobe.model.check import Check, Probe, Target, TargetKind
from netprobe.model.inventory import Service
from netprobe.model.names import AgentId, NodeName
from tests.scenarios.player import default_fleet

INVENTORY, FLEET = default_fleet()
CHECKS = tuple(check for plan in FLEET.plans for check in plan.checks)
FIRST = next(check for check in CHECKS if check.target.cluster != check.source.cluster)


def ask(probe: Probe, target: Target = FIRST.target) -> Check:
    return replace(FIRST, probe=probe, target=target)


def test_the_standing_plan_leaves_these_to_questions_on_demand() -> None:
    assert find_unasked(INVENTORY, CHECKS) == tuple(Question)


@pytest.mark.parametrize(
    ("question", "check"),
    [
        (Question.DSCP, ask(Probe("icmp", options=(("dscp", "18"),)))),
        (Question.FRAGMENTS, ask(Probe("icmp", options=(("fragments", "yes"),)))),
        (Question.DATA, ask(Probe("http", port=80))),
    ],
)
def test_one_check_is_enough(question: Question, check: Check) -> None:
    assert question not in find_unasked(INVENTORY, (*CHECKS, check))


def test_a_request_within_a_cluster_says_nothing_of_data_between_two() -> None:
    own = Target(TargetKind.AGENT, "10.0.0.1", str(AgentId.parse(f"{FIRST.source.cluster}/w1/pod")))
    assert Question.DATA in find_unasked(INVENTORY, (ask(Probe("http", port=80), own),))


def test_a_service_at_a_node_port_is_known_by_the_inventory() -> None:
    cluster = INVENTORY.clusters[0]
    served = Service("shop", "web", ("10.0.0.9",), 30080, 80, node=NodeName("w1"))
    inventory = replace(INVENTORY, clusters=(replace(cluster, services=(served,)),))
    target = Target(TargetKind.SERVICE, "10.0.0.9", f"{cluster.name}/{served.qualified}")
    assert Question.NODE_PORT not in find_unasked(inventory, (ask(Probe("tcp", port=30080), target),))
