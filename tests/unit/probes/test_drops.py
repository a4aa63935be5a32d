"""``drops``: suspects and places as text and back, and what is not a question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import InputError, RemoteFormatError
from netprobe.model.check import Check, Layer, Probe, Target, TargetKind
from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import Reached
from netprobe.model.verdict import PORTED, Transport
from netprobe.probes.drops import (
    DropHop,
    DropLocation,
    Suspects,
    find_drop,
    read_drops,
    suspects_of,
    validate,
    write_drops,
    write_suspects,
)
from netprobe.probes.firewalk import Firewalk, FirewalkHop, FirewalkSpec
from netprobe.probes.hops import Ended, Expired

ADDRESSES = ("10.0.0.1", "10.0.0.2", "fd00::3")
PORTS = st.integers(1, 65_535)
DOORS = st.tuples(st.sampled_from(PORTED), PORTS)
HOPS = st.builds(DropHop, st.integers(0, 32), st.sampled_from(["", "10.9.9.9", "fd00::9"]))
DROPS = st.builds(
    DropLocation, st.sampled_from(ADDRESSES), st.sampled_from(PORTED), PORTS, HOPS, st.none() | HOPS
)  # fmt: skip


def question(suspects: tuple[Suspects, ...]) -> Check:
    options = tuple(sorted((key, text) for key, text in write_suspects(suspects).items() if text))
    target = Target(TargetKind.OUTSIDE, suspects[0].address, "")
    return Check(CheckId(1), AgentId.parse("a/b/pod"), target, Probe("drops", options=options), Layer.OUTSIDE)


@given(
    st.lists(
        st.tuples(st.frozensets(DOORS, min_size=1, max_size=9), st.none() | DOORS),
        min_size=1,
        max_size=len(ADDRESSES),
    )
)
def test_suspects_and_back_is_identity(
    told: list[tuple[frozenset[tuple[Transport, int]], tuple[Transport, int] | None]],
) -> None:
    suspects = tuple(
        Suspects(address, tuple(sorted(doors)), control)
        for address, (doors, control) in zip(ADDRESSES, told, strict=False)
    )
    asked = question(suspects)
    validate(asked.probe)
    assert suspects_of(asked) == suspects


def test_an_echo_is_a_control_probe_without_a_port() -> None:
    one = Suspects("10.0.0.1", ((Transport.TCP, 80),), (Transport.ICMP, 0))
    assert suspects_of(question((one,))) == (one,)


@given(st.frozensets(DROPS, max_size=20))
def test_places_and_back_is_identity(drops: frozenset[DropLocation]) -> None:
    assert frozenset(read_drops(write_drops(drops))) == drops


@pytest.mark.parametrize(
    "options",
    [
        {}, {"tcp": "x"}, {"tcp": "1;2"}, {"tcp": "80", "witness": "sctp/1"},
        {"tcp": "80", "witness": "tcp/"},
        {"tcp": "80;", "also": "x"}, {"tcp": "1-5000"}, {"tcp": "80", "hops": "0"},
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(InputError):
        validate(Probe("drops", options=tuple(sorted(options.items()))))


@pytest.mark.parametrize("name", ["", "10.0.0.1 tcp", "10.0.0.1 tcp x@ -", "10.0.0.1 esp 1@ -"])
def test_foreign_facts_are_one_error(name: str) -> None:
    with pytest.raises(RemoteFormatError):
        list(read_drops([f"{name} 80"]))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (DropHop(2, "10.1.0.2"), DropHop(3, "10.2.0.2"),
         ("between hop 2 (10.1.0.2) and hop 3 (10.2.0.2): "
          "by the first as it forwards, or by the second as it comes in")),
        (DropHop(2, "10.1.0.2"), DropHop(3, "10.0.0.1"),
         "by hop 2 (10.1.0.2) as it forwards, or by the target itself"),
        (DropHop(0), DropHop(1, "10.1.0.2"),
         "by hop 1 (10.1.0.2) as it comes in, or by this host's own packet filter"),
        (DropHop(0), DropHop(1, "10.0.0.1"), "by the target itself, or by this host's own packet filter"),
        (DropHop(1, "10.1.0.2"), DropHop(3, "10.2.0.2"),
         "between hop 1 (10.1.0.2) and hop 3 (10.2.0.2); the hops between say nothing"),
        (DropHop(1, "10.1.0.2"), None,
         "behind hop 1 (10.1.0.2), but by whom cannot be known: no control probe comes further"),
    ],
)  # fmt: skip
def test_a_place_reads_well(before: DropHop, after: DropHop | None, said: str) -> None:
    assert DropLocation("10.0.0.1", Transport.TCP, 80, before, after).sentence == said


# --- a walk by itself ---------------------------------------------------------------------------

TARGET, ROUTER, FAR = "10.0.0.1", "10.9.0.1", "10.9.0.2"
SPEC = FirewalkSpec(80, 0, "tcp", 1, 1)


def both(ttl: int, sender: str) -> FirewalkHop:
    return FirewalkHop(ttl, Expired(0, ttl, sender, 5), Expired(1, ttl, sender, 5), 1, 1)


def lost(ttl: int, sender: str = "", *, controls_answered: int = 3) -> FirewalkHop:
    """The control probe is answered, by a router or by the target, and the suspect is not."""
    heard = Expired(1, ttl, sender, 5) if sender else Ended(1, ttl, Reached(1), 5)
    return FirewalkHop(ttl, None, heard, 3, controls_answered)


WHOLE = lost(64)


def walked(*places: FirewalkHop, whole: FirewalkHop | None = WHOLE) -> DropLocation | None:
    return find_drop(Firewalk(SPEC, 5, whole, places), TARGET, Transport.TCP)


@pytest.mark.parametrize(
    ("places", "before", "after"),
    [
        ((both(1, ROUTER), lost(2, FAR)), DropHop(1, ROUTER), DropHop(2, FAR)),
        ((both(1, ROUTER), lost(2)), DropHop(1, ROUTER), DropHop(2, TARGET)),
        ((lost(1, ROUTER),), DropHop(0), DropHop(1, ROUTER)),
        (
            (both(1, ROUTER), lost(2, FAR, controls_answered=1), lost(3)),
            DropHop(1, ROUTER),
            DropHop(3, TARGET),
        ),
        ((both(1, ROUTER), FirewalkHop(2, tries=3), FirewalkHop(3, tries=3)), DropHop(1, ROUTER), None),
    ],
    ids=["between", "at-the-target", "nobody-named-it", "limited", "no-control-comes-further"],
)
def test_a_walk_by_itself_says_between_whom(
    places: tuple[FirewalkHop, ...], before: DropHop, after: DropHop | None
) -> None:
    assert walked(*places) == DropLocation(TARGET, Transport.TCP, 80, before, after)


def test_a_port_that_answers_now_is_not_dropped() -> None:
    answered = FirewalkHop(64, Ended(0, 64, Reached(1), 5), Ended(1, 64, Reached(1), 5), 1, 1)
    assert walked(whole=answered) is None
    assert walked(both(1, ROUTER), FirewalkHop(2, Ended(0, 2, Reached(1), 5), None, 1, 0)) is None


def test_a_walk_that_was_cut_short_before_its_first_answer_says_nothing() -> None:
    assert walked(whole=None) is None
