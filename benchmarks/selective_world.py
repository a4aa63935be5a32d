"""One fleet's plan as rows of traffic, selective faults at its parts, and what the rows then send and lose.

Rules: faults are drawn from what the plan's packets are like; the localiser may know less of them (*hidden*).
Services and names are rows of their own, which cross a proxy and a service, or a proxy and a DNS server.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from benchmarks.plan_classes import with_ipv6
from netprobe.analysis.diagnosis.loss_rows import LEGS, Leg
from netprobe.analysis.diagnosis.traffic_rows import TrafficRows, describe_crossing
from netprobe.analysis.localise.crossings import Crossing, CrossingTable
from netprobe.analysis.localise.loss_modes import LossMode
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.arrays import BoolArray, IntArray
from netprobe.model.component import Component, ComponentKind
from netprobe.model.traffic import Attribute, TrafficCondition
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.simulate.fleet import FleetShape, build_inventory

BACKGROUND = 1e-4
PROBES = 20
KINDS = (
    ComponentKind.TUNNEL, ComponentKind.GATEWAY_OUT, ComponentKind.GATEWAY_IN, ComponentKind.NODE_OUT,
    ComponentKind.NODE_IN, ComponentKind.POD_OUT, ComponentKind.POD_IN, ComponentKind.OVERLAY,
)  # fmt: skip
SERVED_KINDS = (ComponentKind.SERVICE_PROXY, ComponentKind.SERVICE, ComponentKind.DNS)
_LEAST_CROSSINGS = 4
_BURST_CHANCE, _BURST_LOSS = 0.002, (0.05, 0.4)
_LEAK = 0.02
"""What a dead class lets pass amid bursts."""


@dataclass(frozen=True, slots=True)
class SelectiveFault:
    """What is broken: a part, for a class of its traffic."""

    component: Component
    conditions: tuple[TrafficCondition, ...]
    mode: LossMode
    loss: float
    rows: frozenset[int]


class SelectiveWorld:
    """One plan's rows, the faults put into it, and what each row then sends and loses."""

    def __init__(
        self, shape: FleetShape, *, epoch: int = 0, seed: int = 1, with_services: bool = False
    ) -> None:
        inventory = with_ipv6(build_inventory(shape))
        plan = plan_fleet(inventory, epoch=epoch, seed=seed, interval_ns=10**10, cookie_key=b"x" * 32)
        self.index = PlanIndex(inventory, plan)
        self.rows = TrafficRows(self.index)
        self.table = _with_services(self.index, self.rows.table) if with_services else self.rows.table
        asked = self.rows.table.rows
        counted = np.repeat(self.index.is_counted[self.table.check[: asked : len(LEGS)]], len(LEGS))
        leg = np.arange(asked) % len(LEGS)
        self.is_used: BoolArray = np.ones(self.table.rows, np.bool_)
        self.is_used[:asked] = (leg == LEGS.index(Leg.BOTH)) ^ counted
        self.is_back: BoolArray = np.zeros(self.table.rows, np.bool_)
        self.is_back[:asked] = self.is_used[:asked] & (leg == LEGS.index(Leg.BACK))

    @cached_property
    def parts_of(self) -> dict[ComponentKind, list[int]]:
        """By kind, the parts that enough rows in use cross."""
        used = np.bincount(
            self.table.component, self.is_used[self.table.row], minlength=len(self.table.components)
        )
        found: dict[ComponentKind, list[int]] = {}
        for number, part in enumerate(self.table.components):
            if used[number] >= _LEAST_CROSSINGS:
                found.setdefault(part.kind, []).append(number)
        return found

    def without(self, hidden: Collection[str]) -> CrossingTable[Component]:
        """The table of a localiser that does not know the attributes *hidden*."""
        kept = [place for place, name in enumerate(self.table.attributes) if name not in hidden]
        return replace(
            self.table,
            attributes=tuple(self.table.attributes[place] for place in kept),
            values=tuple(self.table.values[place] for place in kept),
            codes=self.table.codes[:, kept],
        )

    def draw(
        self,
        rng: np.random.Generator,
        *,
        kinds: Iterable[ComponentKind] = KINDS,
        at: Component | None = None,
    ) -> SelectiveFault:
        """Half dead in a class of up to two conditions, a tenth lossy in one, 15 % hash, else plain loss.

        *at*: the part; without it every kind of part is equally likely.
        """
        able = [kind for kind in kinds if kind in self.parts_of]
        while True:
            candidates = self.parts_of[able[int(rng.integers(len(able)))]]
            component = candidates[int(rng.integers(len(candidates)))]
            if at is not None:
                component = self.table.components.index(at)
            fault = self._draw_at(component, rng)
            if fault is not None:
                return fault

    def _draw_at(self, component: int, rng: np.random.Generator) -> SelectiveFault | None:
        here = self.table.at(component)
        entries = np.arange(here.start, here.stop)[self.is_used[self.table.row[here]]]
        what = str(rng.choice(["dead", "class", "hash", "loss"], p=[0.5, 0.1, 0.15, 0.25]))
        wanted = int(rng.integers(0, 3)) if what == "dead" else int(what == "class")
        codes = self.table.codes[entries]
        varied = np.flatnonzero(np.ptp(codes, axis=0))
        if len(varied) < wanted:
            return None
        model = codes[int(rng.integers(len(entries)))]
        chosen = sorted(rng.choice(varied, wanted, replace=False).tolist())
        met = np.all(codes[:, chosen] == model[chosen], axis=1)
        loss = {
            "class": rng.uniform(0.05, 0.6),
            "loss": rng.uniform(0.01, 0.2),
            "hash": rng.choice([0.5, 0.25]),
        }
        mode = {"dead": LossMode.DEAD, "hash": LossMode.HASH}.get(what, LossMode.RATE)
        conditions = tuple(
            TrafficCondition(self.table.attributes[a], self.table.values[a][int(model[a])]) for a in chosen
        )
        rows = frozenset(self.table.row[entries[met]].tolist())
        if mode is LossMode.HASH and not (self.table.kept[list(rows)] == 1).any():
            mode = LossMode.RATE  # where each packet opens a flow, a share of the flows is a rate
        return SelectiveFault(
            self.table.components[component], conditions, mode, float(loss.get(what, 1.0)), rows
        )

    def play(
        self, faults: Iterable[SelectiveFault], rng: np.random.Generator, *, with_bursts: bool = False
    ) -> tuple[IntArray, IntArray]:
        """What every row sent and lost; with bursts some rows lose more and what is dead leaks."""
        survive = (1 - BACKGROUND) ** self.table.length
        if with_bursts:
            has_burst = rng.random(self.table.rows) < _BURST_CHANCE
            survive = survive * np.where(has_burst, 1 - rng.uniform(*_BURST_LOSS, self.table.rows), 1.0)
        for fault in faults:
            rows = np.array(sorted(fault.rows), np.int64)
            is_dead = fault.mode is LossMode.DEAD
            passing = np.full(len(rows), _LEAK if with_bursts and is_dead else 1 - fault.loss)
            if fault.mode is LossMode.HASH:
                dies = rng.random(len(rows)) < fault.loss
                of_icmp = rng.integers(2)  # whether this hash takes pings for one flow
                passing = np.where(self.table.kept[rows] > 0.5 * (1 - of_icmp), ~dies, passing)
            survive[rows] *= passing
        sent = np.where(self.is_used, PROBES, 0)
        through = rng.binomial(sent, survive)
        back = np.flatnonzero(self.is_back)
        sent[back] = through[back - 1]  # the row of the way out stands before it
        through[back] = rng.binomial(sent[back], survive[back])
        return sent, sent - through

    def rows_with(self, attribute: Attribute, value: str) -> IntArray:
        """The rows of packets with a value of an attribute."""
        column = self.table.attributes.index(attribute)
        rows: IntArray = self.table.row[self.table.codes[:, column] == self.table.values[column].index(value)]
        return rows


def _with_services(index: PlanIndex, table: CrossingTable[Component]) -> CrossingTable[Component]:
    """*table* and, after its rows, one row for each check of a service or a name."""
    served = [check for check in index.checks if index.served[check.number]]

    def crossings() -> Iterator[Crossing[Component]]:
        decoded = [
            tuple(known[code] for known, code in zip(table.values, kind, strict=True))
            for kind in table.codes.tolist()
        ]
        parts = [table.components[number] for number in table.component.tolist()]
        yield from map(Crossing, table.row.tolist(), parts, decoded)
        for row, check in enumerate(served, table.rows):
            for part in dict.fromkeys(check.legs.forward):
                yield Crossing(row, part, describe_crossing(check, index.gateways, is_answer=False))

    return CrossingTable.of(
        table.attributes,
        crossings(),
        kept=[*table.kept.tolist(), *(0.0 for _ in served)],  # each question has a port of its own
        check=[*table.check.tolist(), *(check.number for check in served)],
    )
