"""Selective faults: part, class of traffic and mode of loss are named; naive search agrees."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.analysis.localise.crossings import Crossing, CrossingTable
from netprobe.analysis.localise.likelihood import MAX_RATE
from netprobe.analysis.localise.loss_modes import LossMode, tabulate
from netprobe.analysis.localise.selective import SelectiveLocaliser, SelectiveSuspect
from netprobe.model.arrays import IntArray
from netprobe.model.traffic import TrafficCondition

SITES = ("a", "b", "c")
PROTOCOLS = ("icmp", "udp", "tcp")
FAMILIES = ("IPv4", "IPv6")
NODES = 3
ATTRIBUTES = ("protocol", "family", "source node")
SENT = 20

Row = tuple[str, str, int, str, str]
"""From, to, number of the sending node, protocol, family."""


def rows() -> list[Row]:
    """Every node of a site asks its counterpart in the two others, by every protocol and family."""
    return [
        (here, there, node, protocol, family)
        for here, there in product(SITES, SITES)
        if here != there
        for node, protocol, family in product(range(NODES), PROTOCOLS, FAMILIES)
    ]


def table() -> CrossingTable[str]:
    crossings = []
    for number, (here, there, node, protocol, family) in enumerate(rows()):
        values = (protocol, family, f"{here}{node}")
        parts = (f"out {here}{node}", f"gateway {here}", f"tunnel {here}{there}", f"in {there}{node}")
        crossings += [Crossing(number, part, values) for part in parts]
    kept = [protocol != "tcp" for *_, protocol, _ in rows()]
    return CrossingTable.of(ATTRIBUTES, crossings, kept=kept, check=list(range(len(kept))))


TABLE = table()


def lose(is_hit: Callable[[Row], bool], loss: float = 1.0, *, seed: int = 1) -> tuple[IntArray, IntArray]:
    """What rows send and lose where those that are hit lose *loss* of their packets."""
    random = np.random.default_rng(seed)
    share = np.array([loss if is_hit(row) else 0.0 for row in rows()])
    sent = np.full(len(share), SENT)
    return sent, random.binomial(sent, share)


def locate(sent: IntArray, lost: IntArray) -> list[tuple[str, tuple[TrafficCondition, ...], LossMode]]:
    return [(one.component, one.conditions, one.mode) for one in suspects(sent, lost)]


def suspects(sent: IntArray, lost: IntArray) -> tuple[SelectiveSuspect[str], ...]:
    return SelectiveLocaliser(TABLE).localise(sent, lost)


def test_nothing_is_suspected_where_nothing_is_lost() -> None:
    assert not suspects(*lose(lambda _: False))


@pytest.mark.parametrize(
    ("is_hit", "component", "conditions"),
    [
        pytest.param(lambda r: r[:2] == ("a", "b"), "tunnel ab", (), id="the whole part"),
        pytest.param(
            lambda r: r[:2] == ("a", "b") and r[3] == "tcp",
            "tunnel ab",
            (TrafficCondition("protocol", "tcp"),),
            id="one protocol",
        ),
        pytest.param(
            lambda r: r[0] == "a" and r[3] != "icmp",
            "gateway a",
            (TrafficCondition("protocol", "icmp", is_equal=False),),
            id="all but one protocol",
        ),
        pytest.param(
            lambda r: r[0] == "a" and r[3:] == ("udp", "IPv6"),
            "gateway a",
            (TrafficCondition("protocol", "udp"), TrafficCondition("family", "IPv6")),
            id="one protocol of one family",
        ),
        pytest.param(
            lambda r: r[1] == "b" and r[2] == 2 and r[4] == "IPv6",
            "in b2",
            (TrafficCondition("family", "IPv6"),),
            id="one family into a node",
        ),
    ],
)
def test_the_smallest_class_is_named(
    is_hit: Callable[[Row], bool], component: str, conditions: tuple[TrafficCondition, ...]
) -> None:
    assert locate(*lose(is_hit)) == [(component, conditions, LossMode.DEAD)]


def test_a_class_that_is_lost_is_not_a_rate_of_the_part() -> None:
    """The kind of mistake this engine exists for: TCP gone, read as "loses a third of the packets"."""
    (found,) = suspects(*lose(lambda r: r[:2] == ("a", "b") and r[3] == "tcp"))
    assert found.loss == pytest.approx(1.0, abs=1e-3)
    assert found.confidence > 0.9


def test_loss_that_is_alike_in_all_rows_is_a_rate() -> None:
    (found,) = suspects(*lose(lambda r: r[:2] == ("a", "b"), 0.2))
    assert (found.component, found.conditions, found.mode) == ("tunnel ab", (), LossMode.RATE)
    assert found.loss == pytest.approx(0.2, abs=0.08)


def test_a_rate_inside_a_class_is_told_with_its_class() -> None:
    (found,) = suspects(*lose(lambda r: r[0] == "a" and r[3] == "udp", 0.4))
    assert (found.component, found.conditions) == ("gateway a", (TrafficCondition("protocol", "udp"),))
    assert found.mode is LossMode.RATE


def test_half_of_the_flows_by_nothing_that_is_known() -> None:
    """Kept flows live or die; what opens a flow for each packet loses half of them."""
    random = np.random.default_rng(3)
    dies = random.random(len(rows())) < 0.5
    sent = np.full(len(rows()), SENT)
    share = [
        0.0 if row[0] != "a" else 0.5 if row[3] == "tcp" else float(dies[n]) for n, row in enumerate(rows())
    ]
    (found,) = suspects(sent, random.binomial(sent, share))
    assert (found.component, found.mode) == ("gateway a", LossMode.HASH)
    assert found.loss == pytest.approx(0.5, abs=0.13)


def test_rows_that_were_not_measured_say_nothing() -> None:
    sent, lost = lose(lambda r: r[:2] == ("a", "b") and r[3] == "tcp")
    is_left_out = np.array([row[2] == 0 for row in rows()])
    assert locate(np.where(is_left_out, 0, sent), np.where(is_left_out, 0, lost)) == locate(sent, lost)


def test_names_of_the_same_rows_are_told_as_alike() -> None:
    """What only one node sent cannot tell its way out from the class of its packets at the gateway."""
    (found,) = suspects(*lose(lambda r: r[0] == "a" and r[2] == 1))
    assert (found.component, found.conditions) == ("out a1", ())
    assert ("gateway a", (TrafficCondition("source node", "a1"),)) in found.alike


def test_two_faults_are_two_suspects() -> None:
    found = locate(
        *lose(lambda r: (r[0] == "a" and r[3] == "tcp") or (r[1:3] == ("c", 1) and r[4] == "IPv6"))
    )
    assert found == [
        ("gateway a", (TrafficCondition("protocol", "tcp"),), LossMode.DEAD),
        ("in c1", (TrafficCondition("family", "IPv6"),), LossMode.DEAD),
    ]


SMALL_ROWS = list(product("xy", PROTOCOLS, FAMILIES))
SMALL = CrossingTable.of(
    ("protocol", "family"),
    [
        Crossing(number, part, (protocol, family))
        for number, (way, protocol, family) in enumerate(SMALL_ROWS)
        for part in (way, "both")
    ],
    kept=[1.0] * len(SMALL_ROWS),
    check=list(range(len(SMALL_ROWS))),
)


def naive_best(sent: IntArray, lost: IntArray) -> float:
    """The most that one dead class of one part gains: every class, no price of names, no bound."""
    gains = tabulate(sent, lost, np.full(SMALL.rows, 2e-4), SMALL.kept)
    best = -np.inf
    for component in range(len(SMALL.components)):
        rows_here = SMALL.row[SMALL.at(component)]
        singles = [
            (TrafficCondition(attribute, value, is_equal),)
            for attribute, values in zip(SMALL.attributes, SMALL.values, strict=True)
            for value in values
            for is_equal in (True, False)
        ]
        every = [(), *singles, *((one[0], other[0]) for one, other in combinations(singles, 2))]
        for conditions in every:
            met = rows_here[SMALL.matches(component, conditions)]
            if len(met) and lost[met].any():
                best = max(best, float(gains.dead[met].sum()))
    return best


@settings(max_examples=60)
@given(st.data())
def test_a_dead_class_explains_what_naive_search_finds(data: st.DataObject) -> None:
    """A dead class explains as much as the best one that naive search finds, and exactly its rows."""
    part = data.draw(st.integers(0, 2))
    here = SMALL.row[SMALL.at(part)]
    protocol = data.draw(st.sampled_from(PROTOCOLS))
    hit = {int(row) for row in here if SMALL_ROWS[row][1] == protocol}
    sent = np.full(len(SMALL_ROWS), SENT)
    lost = np.array([SENT if row in hit else 0 for row in range(len(SMALL_ROWS))])
    found = SelectiveLocaliser(SMALL).localise(sent, lost)
    gains = tabulate(sent, lost, np.full(SMALL.rows, 2e-4), SMALL.kept)
    explained = sum(float(gains.dead[list(one.rows)].sum()) for one in found)
    assert {row for one in found for row in one.rows} == hit
    assert explained == pytest.approx(naive_best(sent, lost))


def test_what_is_dead_cannot_be_explained_twice() -> None:
    sent = np.full(len(rows()), 20_000)
    lost = np.array([20_000 if row[:2] == ("a", "b") and row[3] == "tcp" else 0 for row in rows()])
    assert len(suspects(sent, lost)) == 1
    assert tabulate(sent, lost, np.full(len(sent), MAX_RATE), TABLE.kept).dead.max() <= 0


def test_a_rate_of_many_packets_leaves_no_second_one_beside_it() -> None:
    """Loss between two rates of the grid: what the nearer one leaves unexplained accuses nothing else."""
    sent = np.full(len(rows()), 400)
    random = np.random.default_rng(5)
    lost = random.binomial(sent, [0.117 if row[0] == "a" else 0.0 for row in rows()])
    (found,) = suspects(sent, lost)
    assert (found.component, found.mode) == ("gateway a", LossMode.RATE)
    assert found.loss == pytest.approx(0.117, abs=0.01)


def test_rows_that_lost_by_bursts_of_their_own_accuse_nothing() -> None:
    random = np.random.default_rng(6)
    sent = np.full(len(rows()), SENT)
    lost = np.where(random.random(len(sent)) < 0.1, random.binomial(sent, 0.3), 0)
    assert np.count_nonzero(lost) > len(sent) // 20
    assert not suspects(sent, lost)


def test_a_dead_class_is_seen_beside_a_mixture_at_the_same_part() -> None:
    """Neither explains all: half of the flows from a, and every packet of UDP."""
    random = np.random.default_rng(9)
    loss_of = {"icmp": lambda: float(random.random() < 0.5), "tcp": lambda: 0.5, "udp": lambda: 1.0}
    share = [loss_of[row[3]]() if row[0] == "a" else 0.0 for row in rows()]
    sent = np.full(len(rows()), SENT)
    found = suspects(sent, random.binomial(sent, share))
    assert {one.component for one in found} == {"gateway a"}
    assert {one.mode for one in found} == {LossMode.DEAD, LossMode.HASH}


def test_a_class_that_leaks_a_little_is_dead() -> None:
    found = locate(*lose(lambda row: row[:2] == ("a", "b") and row[3] == "tcp", loss=0.95))
    assert found == [("tunnel ab", (TrafficCondition("protocol", "tcp"),), LossMode.DEAD)]
