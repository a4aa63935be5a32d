"""Ordinary days are played fast, and mean the same as probe by probe."""

from __future__ import annotations

from functools import cache

from netprobe.analysis.analyst import Analyst
from netprobe.analysis.facts import Facts
from netprobe.analysis.simulate.calm import CalmWorld
from netprobe.analysis.simulate.effects import SimulatedFault
from netprobe.analysis.simulate.fleet import Shape, build_inventory, place_dns
from netprobe.analysis.simulate.run import Score, follow
from netprobe.analysis.simulate.weather import Climate, draw_reboots, draw_weather
from netprobe.analysis.simulate.world import World
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.planning.fleet import plan_fleet

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
INTERVAL = 10 * SECOND
FRAMES = 40


@cache
def fleet() -> tuple[Inventory, FleetPlan]:
    inventory = build_inventory(Shape(clusters=2, nodes=3))
    return inventory, plan_fleet(inventory, epoch=1, seed=1, interval_ns=INTERVAL, cookie_key=b"key")


def play(
    faults: tuple[SimulatedFault, ...], labelled: tuple[SimulatedFault, ...], kind: type[World]
) -> Score:
    inventory, plan = fleet()
    world = kind(
        Facts(inventory, plan), (*faults, *labelled), seed=3, start_ns=T0, dns_nodes=place_dns(inventory)
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
    facts = Facts(*fleet())
    stormy = Climate(bursts_per_hour=240, restarts_per_day=150)
    weather = draw_weather(facts, seed=2, start_ns=T0, length_ns=FRAMES * INTERVAL, climate=stormy)
    assert {fault.name.partition(" ")[0] for fault in weather} == {"burst", "restart"}
    reboots = draw_reboots(facts, seed=2, start_ns=T0 + 15 * INTERVAL, length_ns=10 * INTERVAL, per_day=1000)
    score = play(weather, reboots[:1], CalmWorld)
    assert len(score.named) == 1
    assert score.false == {}
