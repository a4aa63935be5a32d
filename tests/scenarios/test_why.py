"""``why`` on simulated faults and the real plan: the sentence names the finding, the layers the place."""

from __future__ import annotations

from functools import cache

import pytest

from netprobe.analysis.queries.endpoints import find_end
from netprobe.analysis.queries.path_explanation import PathExplanation, explain_pair
from netprobe.model.finding import Cause
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import PathState
from netprobe.render.component_state import read_component_states
from tests.scenarios.player import (
    at,
    default_fleet,
    play,
    strike,
)

PROD, STAGING, DEV = "prod-us-west-1", "staging-eu-central-1", "dev-on-premise"


@cache
def snapshot_of(kind: str, parameters: tuple[tuple[str, str], ...]) -> Snapshot:
    broken = [at(strike(kind, **dict(parameters)), 8.4, end_s=40)] if kind else []
    moments = play(broken, seed=4, intervals=17, keep=True).conclusions
    inventory, fleet = default_fleet()
    seconds, said = moments[-1]
    return Snapshot(
        taken_ns=int(seconds * 1e9),
        interval_ns=fleet.interval_ns,
        inventory=inventory,
        checks=fleet.checks,
        legs=fleet.legs,
        coverage=fleet.coverage,
        paths=said.paths,
        agents=said.agents,
        findings=said.findings,
    )


def ask(snapshot: Snapshot, source: str, target: str) -> PathExplanation:
    ends = find_end(snapshot.inventory, source), find_end(snapshot.inventory, target)
    return explain_pair(snapshot, *ends, feels=read_component_states(snapshot).of)


def layers(why: PathExplanation) -> dict[str, PathState | None]:
    return {step.layer: step.state for step in why.steps}


@pytest.mark.parametrize(
    ("kind", "parameters", "pair", "cause", "layer"),
    [
        ("tunnel-down", {"source": PROD, "target": STAGING}, ("prod/w1", "staging/w1"),
         Cause.TUNNEL_DOWN, "tunnel"),
        ("tunnel-one-way", {"source": PROD, "target": DEV}, ("prod/w1", "dev/w1"),
         Cause.RETURN_PATH_DROPPED, "tunnel"),
        ("mtu-black-hole", {"source": PROD, "target": DEV}, ("prod", "dev"), Cause.TUNNEL_MTU, "MTU"),
        ("overlay-blocked", {"node": f"{PROD}/w1", "other": f"{PROD}/w2"}, ("prod/w1/pod", "prod/w2/pod"),
         Cause.OVERLAY_BLOCKED, "overlay"),
        ("port-drop", {"node": f"{PROD}/w1"}, ("dev/w1", "prod/w1"), Cause.POLICY_DROP, "policy"),
        ("dns-down", {"cluster": DEV}, ("dev/w1", "dev/gw"), None, "DNS"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_the_place_is_named(
    kind: str, parameters: dict[str, str], pair: tuple[str, str], cause: Cause | None, layer: str
) -> None:
    why = ask(snapshot_of(kind, tuple(sorted(parameters.items()))), *pair)
    assert (why.finding.cause if why.finding else None) == cause
    assert layers(why)[layer] in {PathState.DOWN, PathState.DEGRADED}
    assert (why.state is PathState.UP) is (cause is None)


def test_a_healthy_pair_reaches_and_nothing_is_blamed() -> None:
    why = ask(snapshot_of("", ()), "prod/w1", "dev/w1")
    assert (why.state, why.finding) == (PathState.UP, None)
    assert set(layers(why).values()) <= {PathState.UP, None}


def test_a_dead_node_is_named_to_whom_asks_it() -> None:
    why = ask(snapshot_of("node-down", (("node", f"{STAGING}/w1"),)), "prod/w1", "staging/w1")
    assert why.finding is not None
    assert why.finding.cause is Cause.NODE_DOWN
    assert layers(why)["node"] is PathState.DOWN
    assert layers(why)["agent"] is PathState.UNKNOWN


def test_one_direction_says_where_probes_were_lost() -> None:
    snapshot = snapshot_of("tunnel-one-way", (("source", PROD), ("target", DEV)))
    out, back = ask(snapshot, "prod/w1", "dev/w1"), ask(snapshot, "dev/w1", "prod/w1")
    assert any("0 on the way back" in reason for reason in out.reasons)
    assert any("counted, 0 probes were lost on the way out" in reason for reason in back.reasons)
