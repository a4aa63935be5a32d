"""States follow evidence: blamed is broken, hidden and unmeasured are unknown, passed is up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.model import component as parts
from netprobe.model.component import ComponentKind
from netprobe.model.finding import Cause
from netprobe.model.names import ClusterName
from netprobe.model.status import PathState
from netprobe.render.component_state import node_state, read_component_states, worst
from tests import fleets


def test_in_a_healthy_fleet_every_part_is_up() -> None:
    health = read_component_states(fleets.healthy())
    assert {part.state for part in health.parts.values()} == {PathState.UP}


def test_a_dead_tunnel_is_down_and_takes_nothing_else_with_it() -> None:
    health = read_component_states(fleets.tunnel_down())
    down = {component for component, part in health.parts.items() if part.state is PathState.DOWN}
    assert down == set(fleets.tunnel_down_finding().components)
    assert {part.state for component, part in health.parts.items() if component not in down} == {PathState.UP}


def test_a_status_that_packets_contradict_paints_nothing_red() -> None:
    dead, well = fleets.tunnel_down(), fleets.healthy()
    said = replace(fleets.tunnel_down_finding(), id="said", cause=Cause.STATUS_CONTRADICTED)
    before, after = (
        read_component_states(one) for one in (dead, replace(dead, findings=(*dead.findings, said)))
    )
    assert after.parts == before.parts
    called_down = read_component_states(replace(well, findings=(replace(said, affected=()),)))
    assert {part.state for part in called_down.parts.values()} == {PathState.UP}


def test_one_direction_is_down_while_the_other_is_seen_to_pass() -> None:
    found = fleets.one_way_finding()
    snapshot = fleets.snapshot_of(
        fleets.default_inventory(), lossy=dict.fromkeys(found.components, 1.0), findings=(found,)
    )
    health = read_component_states(snapshot)
    assert health.of(parts.tunnel(fleets.PROD, fleets.DEV)).state is PathState.DOWN
    assert health.of(parts.tunnel(fleets.DEV, fleets.PROD)).state is PathState.UP


def test_a_sick_agent_makes_things_unknown_and_nothing_down() -> None:
    health = read_component_states(fleets.agent_sick())
    assert health.of(parts.agent(fleets.SICK)).state is PathState.UNKNOWN
    assert PathState.DOWN not in {part.state for part in health.parts.values()}


def test_what_a_finding_hides_is_unknown() -> None:
    hidden = parts.gateway_in(fleets.node_id(fleets.STAGING, "gw"))
    snapshot = fleets.tunnel_down()
    found = replace(snapshot.findings[0], hidden=(hidden,))
    health = read_component_states(replace(snapshot, findings=(found,)))
    assert health.of(hidden).state is PathState.UNKNOWN
    assert health.of(hidden).finding == found


def test_what_nobody_asks_is_unknown() -> None:
    below = parts.underlay(ClusterName("a"), ClusterName("b"))
    assert read_component_states(fleets.healthy()).of(below).state is PathState.UNKNOWN


def test_a_lossy_tunnel_is_degraded_with_its_loss() -> None:
    part = read_component_states(fleets.several()).of(parts.tunnel(fleets.STAGING, fleets.DEV))
    assert (part.state, part.loss) == (PathState.DEGRADED, 0.3)


def test_paths_that_are_down_show_even_before_a_finding_stands() -> None:
    broken = parts.tunnel(fleets.PROD, fleets.STAGING)
    health = read_component_states(fleets.snapshot_of(fleets.default_inventory(), lossy={broken: 1.0}))
    assert health.of(broken).state is PathState.DOWN


@pytest.mark.parametrize(
    ("cause", "component", "state"),
    [
        pytest.param(Cause.NODE_DOWN, parts.node_out, PathState.DOWN, id="the node itself"),
        pytest.param(Cause.GATEWAY_DOWN, parts.gateway_out, PathState.DOWN, id="the gateway itself"),
        pytest.param(
            Cause.SERVICE_PROXY_STALE, parts.service_proxy, PathState.DEGRADED, id="something on it"
        ),
        pytest.param(Cause.SNAT, parts.gateway_out, PathState.DEGRADED, id="a gateway that rewrites"),
    ],
)
def test_a_node_is_down_only_if_the_node_is_blamed(cause: Cause, component: object, state: PathState) -> None:
    node = fleets.node_id(fleets.PROD, "gw")
    assert callable(component)
    found = replace(fleets.tunnel_down_finding(), cause=cause, components=(component(node),))
    snapshot = fleets.snapshot_of(fleets.default_inventory(), findings=(found,))
    assert node_state(snapshot, read_component_states(snapshot), node).state is state


@given(st.lists(st.sampled_from(PathState)))
def test_unknown_never_hides_what_is_broken(states: list[PathState]) -> None:
    broken = {PathState.DOWN, PathState.DEGRADED} & set(states)
    assert (worst(states) in {PathState.DOWN, PathState.DEGRADED}) == bool(broken)


def test_find_lists_the_parts_of_one_place() -> None:
    zones = dict(read_component_states(fleets.healthy()).find(ComponentKind.DNS, fleets.DEV))
    assert set(zones) == {parts.dns(fleets.DEV), parts.dns(fleets.DEV, zone="clusterset.local")}


def test_a_dropped_return_path_vouches_for_the_other_direction() -> None:
    there, back = parts.tunnel(fleets.PROD, fleets.DEV), parts.tunnel(fleets.DEV, fleets.PROD)
    found = replace(fleets.one_way_finding(), hidden=(back,))
    health = read_component_states(replace(fleets.healthy(), legs=(), findings=(found,)))
    assert (health.of(there).state, health.of(back).state) == (PathState.DOWN, PathState.UP)
