"""Plans in use are published; other plans reach ingest, analysis, history and agents together."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from netprobe.cli.actions.collector import plan
from netprobe.collector.persisted_state import PersistedState
from netprobe.model.fabric import Claim
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.tasks import end_tasks
from tests.unit.collector.parts import INTERVAL_NS, INVENTORY, THIRD_NODE, ListBus, collector_parts
from tests.unit.collector.process import Counting
from tests.unit.nats_server import PATIENCE_S, until


class Stubborn(Counting):
    """Cannot continue with other plans."""

    def replan(self, inventory: Inventory, fleet: FleetPlan, *, now_ns: int) -> None:
        raise ZeroDivisionError


class Listening(Counting):
    """Keeps what it hears of fabrics."""

    def __init__(self, inventory: Inventory, fleet: FleetPlan) -> None:
        super().__init__(inventory, fleet)
        self.heard: list[tuple[Claim, ...]] = []

    def hear_claims(self, claims: tuple[Claim, ...]) -> None:
        self.heard.append(claims)


async def test_the_analysis_hears_what_fabrics_claim_in_every_interval(tmp_path: Path) -> None:
    analysts: list[Listening] = []

    def new_analyst(inventory: Inventory, fleet: FleetPlan) -> Listening:
        analysts.append(Listening(inventory, fleet))
        return analysts[-1]

    with collector_parts(tmp_path, new_analyst=new_analyst) as here:
        running = asyncio.create_task(here.service.publication.run(ListBus(), every_s=0.01))
        await until(lambda: len(analysts[-1].heard) >= 2)
        await end_tasks([running])
    assert set(analysts[-1].heard) == {()}, "no cluster is registered"


async def test_published_plans_name_the_addresses_of_the_bus(tmp_path: Path) -> None:
    with collector_parts(tmp_path) as here:
        bus = ListBus()
        await here.service.publication.publish(bus)
        assert [one.agent for one in bus.plans] == [one.agent for one in here.rotation.fleet.plans]
        assert {one.bus for one in bus.plans} == {("192.0.2.9:4222",)}


async def test_a_changed_inventory_reaches_every_part(tmp_path: Path) -> None:
    with collector_parts(tmp_path) as here:
        bus, before = ListBus(), here.checks
        running = asyncio.create_task(here.service.publication.run(bus, every_s=0.01))
        (tmp_path / "inventory.yaml").write_text(INVENTORY + THIRD_NODE)
        await until(lambda: bool(here.history.epochs_between(0, time.time_ns() + INTERVAL_NS)))  # comes last
        await end_tasks([running])
        assert here.service.analysis.fleet is here.rotation.fleet
        assert here.checks > before
        assert {str(one.agent.node) for one in bus.plans} == {"gw", "w1", "w2"}
        (epoch,) = here.history.epochs_between(0, time.time_ns() + INTERVAL_NS)
        assert epoch.epoch == here.rotation.fleet.epoch


async def test_plans_made_while_the_bus_was_lost_are_published_on_the_next_connection(tmp_path: Path) -> None:
    planning, resume = threading.Event(), threading.Event()
    resume.set()

    def slow_plan(inventory: Inventory, state: PersistedState, interval_ns: int) -> FleetPlan:
        planning.set()
        assert resume.wait(PATIENCE_S)
        return plan(inventory, state, interval_ns)

    with collector_parts(tmp_path, planner=slow_plan) as here:
        planning.clear()
        resume.clear()
        (tmp_path / "inventory.yaml").write_text(INVENTORY + THIRD_NODE)
        lost = asyncio.create_task(here.service.publication.run(ListBus(), every_s=0.0))
        await asyncio.to_thread(planning.wait)
        lost.cancel()
        await asyncio.gather(lost, return_exceptions=True)
        resume.set()
        bus = ListBus()
        running = asyncio.create_task(here.service.publication.run(bus, every_s=0.01))
        await until(lambda: bool(bus.plans))
        running.cancel()
        assert {str(one.agent.node) for one in bus.plans} == {"gw", "w1", "w2"}


async def test_an_analyst_that_cannot_continue_is_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with collector_parts(tmp_path, new_analyst=Stubborn) as here:
        here.service.publication.adopt(now_ns=5)
        assert here.service.analysis.errors == 1
        assert here.service.analysis.conclusion is not None
        assert here.service.analysis.concluded_ns == 5
        assert "starts from nothing" in caplog.text
