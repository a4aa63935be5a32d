"""Plan rotation: a new epoch when it is due, new plans when the inventory changed.

Rule: an inventory that cannot be read, or contradicts itself, is refused and counted; the current plans stay.
Publishing plans is the job of ``plan_publication``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from netprobe.collector.file_stamp import stamp_of
from netprobe.collector.persisted_state import (
    PersistedState,
    load_state,
    plan_next_epoch,
    plan_same_epoch,
    save_state,
)
from netprobe.collector.plan_keys import PlanKeys
from netprobe.collector.ports import Planner
from netprobe.collector.settings import Settings
from netprobe.discovery.inventory.file import load_inventory
from netprobe.errors import InputError, SystemRefusedError
from netprobe.model.check import Plan
from netprobe.model.fleet import FleetPlan, PlannedEpoch
from netprobe.model.inventory import Inventory

logger = logging.getLogger(__name__)

InventoryView = Callable[[Inventory], Inventory]
"""The inventory file → the fleet as known now."""


class PlanRotation:
    """Holds inventory, state and plans. Raises :class:`NetprobeError` if it cannot start."""

    def __init__(
        self, settings: Settings, plan: Planner, view: InventoryView = lambda written: written
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._view = view
        self._stamp = stamp_of(settings.inventory)
        self.keys = PlanKeys(settings.data, now_ns=time.time_ns())
        """The keys that plans get when they go out."""
        self._intervals = 0
        self._ticking = threading.Lock()
        self._written = load_inventory(settings.inventory) if settings.inventory else Inventory()
        self._refused_fleet: Inventory | None = None
        self.inventory = view(self._written)
        self.refused = 0
        """Inventories that were refused since the start."""
        self.withdrawn: tuple[Plan, ...] = ()
        """Empty plans for agents that have left the fleet since the start."""
        self._state, self.fleet = self._replan(self.inventory, load_state(settings.data))
        save_state(settings.data, self._state)

    @property
    def cookie_key(self) -> str:
        """The one of the fleet's agents of the previous build, hexadecimal; other plans do not hold it."""
        return self._state.cookie_key

    def describe_epoch(self, *, since_ns: int) -> PlannedEpoch:
        """Everything needed to make the current plans again; they are in use since *since_ns*."""
        state, interval_ns = self._state, self._settings.interval_ns
        return PlannedEpoch(since_ns, state.epoch, state.seed, interval_ns, state.fleet, self.inventory)

    def tick(self) -> bool:
        """One more interval has passed; return whether the plans changed. Blocks while it plans."""
        with self._ticking:
            return self._tick()

    def _tick(self) -> bool:
        self._intervals += 1
        if self._has_new_file():
            self._read_written()
        if self._take(self._view(self._written)):
            return True
        every = self._settings.epoch_intervals
        if not every or self._intervals < every:
            return False
        self._intervals = 0
        return self._adopt(
            self.inventory, *plan_next_epoch(self._state, self._planner(self.inventory), self.fleet)
        )

    def _has_new_file(self) -> bool:
        stamp = stamp_of(self._settings.inventory)
        is_new = stamp is not None and stamp != self._stamp
        self._stamp = stamp or self._stamp
        return is_new

    def _read_written(self) -> None:
        assert self._settings.inventory is not None
        try:
            self._written = load_inventory(self._settings.inventory)
        except InputError as error:
            self._refuse(error)

    def _take(self, inventory: Inventory) -> bool:
        """Plan for *inventory* if it changed; one that cannot be planned is refused once."""
        if inventory in (self.inventory, self._refused_fleet):
            return False
        try:
            state, fleet = self._replan(inventory, self._state)
        except InputError as error:
            self._refused_fleet = inventory
            self._refuse(error)
            return False
        return self._adopt(inventory, state, fleet)

    def _refuse(self, error: InputError) -> None:
        self.refused += 1
        logger.warning("the new inventory is refused, the old one stays in use: %s", error)

    def _replan(self, inventory: Inventory, state: PersistedState) -> tuple[PersistedState, FleetPlan]:
        return plan_same_epoch(state, self._planner(inventory))

    def _planner(self, inventory: Inventory) -> Callable[[PersistedState], FleetPlan]:
        return lambda state: self._plan(inventory, state, self._settings.interval_ns)

    def _save(self, state: PersistedState) -> None:
        """A disk that refuses costs no plans: the next run plans once more for the same fleet."""
        try:
            save_state(self._settings.data, state)
        except SystemRefusedError as error:
            logger.warning("the plans' epoch is not kept: %s", error)

    def _adopt(self, inventory: Inventory, state: PersistedState, fleet: FleetPlan) -> bool:
        is_other = state != self._state or inventory != self.inventory
        if not is_other:
            return False
        self._save(state)
        left = {plan.agent: plan for plan in (*self.withdrawn, *self.fleet.plans)}
        for plan in fleet.plans:
            left.pop(plan.agent, None)
        self.withdrawn = tuple(
            replace(plan, epoch=fleet.epoch, checks=(), peers=()) for plan in left.values()
        )
        self.inventory, self._state, self.fleet = inventory, state, fleet
        logger.info("epoch %d: %d checks", fleet.epoch, fleet.coverage.checks)
        return True
