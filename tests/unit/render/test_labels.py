"""Headlines and verdicts for people."""

from __future__ import annotations

import pytest

from netprobe.model import component as parts
from netprobe.model.component import Component
from netprobe.model.finding import Cause, Finding
from netprobe.model.prose import Prose
from netprobe.model.status import PathState
from netprobe.render.labels import (
    Names,
    headline,
    is_broken,
    severity,
    unmeasured,
    verdict,
)
from tests import fleets

GATEWAY = fleets.node_id(fleets.PROD, "gw")
WORKER = fleets.node_id(fleets.PROD, "w1")
NAMES = Names.of(fleets.default_inventory())


@pytest.mark.parametrize(
    ("fleet", "expected"),
    [
        ("healthy", "all 14 agents reach each other, nothing broken"),
        ("tunnel-down", "1 finding: tunnel prod ↔ staging is down"),
        ("agent-sick", "1 finding: agent prod/w2/pod is not measuring"),
        ("agent-cut-off", "1 finding: no reports from prod/w2"),
        ("several", "5 findings: DNS of dev is down; agent prod/w2/pod is not measuring and 3 more"),
    ],
)
def test_the_verdict_is_one_sentence(fleet: str, expected: str) -> None:
    assert verdict(fleets.EVERY[fleet]()) == expected


def test_silence_is_not_called_health() -> None:
    snapshot = fleets.snapshot_of(fleets.default_inventory(), silent=frozenset((fleets.SICK,)))
    assert verdict(snapshot) == "no fault found, but 57 of 420 paths not measured; 13 of 14 agents alive"
    assert not is_broken(snapshot)


def test_broken_paths_count_before_a_finding_stands() -> None:
    broken = parts.tunnel(fleets.PROD, fleets.STAGING)
    snapshot = fleets.snapshot_of(fleets.default_inventory(), lossy={broken: 1.0})
    assert verdict(snapshot) == "108 down of 420 paths; no finding explains this yet"
    assert is_broken(snapshot)


def test_a_partial_mesh_does_not_claim_everybody() -> None:
    assert verdict(fleets.snapshot_of(fleets.large_inventory(6))) == (
        "all 612 measured paths are up, nothing broken"
    )


def test_unmeasured_paths_are_counted() -> None:
    assert unmeasured(fleets.agent_sick()) == (
        "57 paths of 420; 1 agent not reporting (prod-us-west-1/w2/pod); 1 component crossed by no check"
    )


@pytest.mark.parametrize(
    ("cause", "components", "expected"),
    [
        (Cause.TUNNEL_DOWN, fleets.tunnel_down_finding().components, "tunnel prod ↔ staging is down"),
        (Cause.TUNNEL_MTU, (parts.tunnel(fleets.PROD, fleets.DEV),), "link prod → dev drops large packets"),
        (Cause.OVERLAY_BLOCKED, (parts.overlay(GATEWAY, WORKER),), "overlay prod/gw → prod/w1 is blocked"),
        (
            Cause.ROUTE_MISSING,
            (parts.cluster_route(WORKER, gateway=GATEWAY, target=fleets.DEV),),
            "prod/w1 has no route to dev",
        ),
        (Cause.NODE_DOWN, (parts.node_out(WORKER), parts.node_in(WORKER)), "node prod/w1 is down"),
        (
            Cause.NO_ENDPOINTS,
            (parts.service(fleets.PROD, "netprobe/echo"),),
            "service netprobe/echo in prod has no endpoints",
        ),
        (
            Cause.DNS_FORWARD_MISSING,
            (parts.dns(fleets.DEV, zone="clusterset.local"),),
            "DNS of dev does not forward clusterset.local",
        ),
        (
            Cause.POLICY_DROP,
            (parts.firewall_rule(WORKER, port="tcp/9771"),),
            "prod/w1 silently drops tcp/9771",
        ),
        (
            Cause.INTENT_LEAK,
            (parts.intent_rule(fleets.PROD, fleets.DEV, rule="no metrics"),),
            "leak prod → dev: no metrics",
        ),
        (
            Cause.INTENT_BROKEN,
            (parts.intent_rule(fleets.PROD, "192.0.2.7", rule="web"),),
            "prod → 192.0.2.7 should pass, but does not: web",
        ),
        (Cause.AGENT_CUT_OFF, (parts.bus_way(WORKER),), "no reports from prod/w1"),
        (
            Cause.UNKNOWN,
            (parts.tunnel(fleets.PROD, fleets.DEV),),
            "link prod → dev is broken, cause unknown",
        ),
    ],
)
def test_a_finding_in_a_few_words(cause: Cause, components: tuple[Component, ...], expected: str) -> None:
    assert headline(Finding("f", components, cause, 0.9, Prose("")), NAMES) == expected


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_words(cause: Cause) -> None:
    assert headline(Finding("f", (parts.node_out(WORKER),), cause, 0.9, Prose("")))
    assert headline(Finding("f", (), cause, 0.9, Prose("")))


@pytest.mark.parametrize(
    ("fleet", "bad"),
    [
        ("healthy", PathState.UP),
        ("tunnel-down", PathState.DOWN),
        ("agent-sick", PathState.UNKNOWN),
        ("agent-cut-off", PathState.UNKNOWN),
    ],
)
def test_a_sick_agent_has_not_the_colour_of_a_broken_network(fleet: str, bad: PathState) -> None:
    assert severity(fleets.EVERY[fleet]()) is bad
