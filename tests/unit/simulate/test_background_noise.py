"""Ordinary days are played fast, and mean the same as probe by probe."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import cycle

from benchmarks.background_noise import NoiseProfile, draw_reboots, draw_weather
from benchmarks.vectorised_world import CalmWorld
from netprobe.analysis.analyst import Analyst
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.component import agent
from netprobe.model.finding import Cause
from netprobe.model.fleet import FleetPlan
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.inventory import Inventory
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.simulate.effects import AgentKilled, SimulatedFault
from netprobe.simulate.faults import make_fault
from netprobe.simulate.fleet import FleetShape, build_inventory, place_dns
from netprobe.simulate.runner import RunScore, follow
from netprobe.simulate.world import World

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
INTERVAL = 10 * SECOND
FRAMES = 40


@cache
def fleet() -> tuple[Inventory, FleetPlan]:
    inventory = build_inventory(FleetShape(clusters=2, nodes=3))
    return inventory, plan_fleet(inventory, epoch=1, seed=1, interval_ns=INTERVAL, cookie_key=b"key")


def play(
    faults: tuple[SimulatedFault, ...], labelled: tuple[SimulatedFault, ...], kind: type[World]
) -> RunScore:
    inventory, plan = fleet()
    world = kind(
        PlanIndex(inventory, plan), (*faults, *labelled), seed=3, start_ns=T0, dns_nodes=place_dns(inventory)
    )
    reports = world.play(start_ns=T0, intervals=FRAMES)
    return follow(Analyst(inventory, plan), reports, labelled, start_ns=T0, interval_ns=INTERVAL)


def test_a_calm_world_sends_the_same_windows_as_one_played_probe_by_probe() -> None:
    calm, slow = play((), (), CalmWorld), play((), (), World)
    assert calm.windows == slow.windows > 0
    assert (calm.rejected, calm.false) == (slow.rejected, slow.false) == ({}, {})
    assert calm.last is not None
    assert slow.last is not None
    assert [path.state for path in calm.last.paths] == [path.state for path in slow.last.paths]


def test_weather_is_no_finding_and_a_reboot_is_named() -> None:
    facts = PlanIndex(*fleet())
    stormy = NoiseProfile(bursts_per_hour=240, restarts_per_day=150)
    weather = draw_weather(facts, seed=2, start_ns=T0, length_ns=FRAMES * INTERVAL, climate=stormy)
    assert {fault.name.partition(" ")[0] for fault in weather} == {"burst", "restart"}
    reboots = draw_reboots(facts, seed=2, start_ns=T0 + 15 * INTERVAL, length_ns=10 * INTERVAL, per_day=1000)
    score = play(weather, reboots[:1], CalmWorld)
    assert len(score.named) == 1
    assert score.false == {}


def test_a_dead_node_is_named_although_agents_of_another_cluster_restart_all_the_time() -> None:
    inventory = build_inventory(FleetShape(clusters=4, nodes=6))
    plan = plan_fleet(inventory, epoch=1, seed=1, interval_ns=INTERVAL, cookie_key=b"key")
    facts = PlanIndex(inventory, plan)
    elsewhere = [each for each in facts.agents if each.cluster == "c02"]
    restarts = tuple(
        SimulatedFault(
            f"restart {each}",
            GroundTruth(Cause.UNKNOWN, (agent(each),)),
            (AgentKilled(each),),
            T0 + frame * INTERVAL + SECOND,
            T0 + frame * INTERVAL + 4 * SECOND,
        )
        for frame, each in zip(range(12, FRAMES), cycle(elsewhere), strict=False)
    )
    made = make_fault(inventory, "node-down", {"node": "c03/w03"})
    dead = replace(made, start_ns=T0 + 16 * INTERVAL + SECOND, end_ns=T0 + 30 * INTERVAL)
    world = CalmWorld(facts, (*restarts, dead), seed=3, start_ns=T0, dns_nodes=place_dns(inventory))
    reports = world.play(start_ns=T0, intervals=FRAMES)
    score = follow(Analyst(inventory, plan), reports, (dead,), start_ns=T0, interval_ns=INTERVAL)
    assert score.false == {}
    # Every frame waits for the reports that the dead node does not send.
    assert score.named[0].at_ns - dead.start_ns <= 5 * INTERVAL
