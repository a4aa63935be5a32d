"""A bad check is named, the others go on."""

from __future__ import annotations

import pytest

from netprobe.engine.plan_validation import expect_askable, find_unaskable
from netprobe.errors import InputError
from netprobe.model.check import Plan, Probe
from tests.unit.probes.questions import ASKER, make_check

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("address", "said"),
    [
        pytest.param("echo.example", "target.address: 'echo.example' is not an IP address", id="a name"),
        pytest.param(
            "224.0.0.1", "target.address: 224.0.0.1 is not the address of a single host", id="multicast"
        ),
        pytest.param(
            "0.0.0.0", "target.address: 0.0.0.0 is not the address of a single host", id="unspecified"
        ),
        pytest.param("FD00::1", "target.address: 'FD00::1' is not in canonical form: fd00::1", id="capitals"),
    ],
)
def test_an_address_that_is_none_is_named(address: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        expect_askable(make_check(Probe("icmp"), address=address))
    assert str(caught.value) == said


def test_one_bad_check_leaves_the_others_alone() -> None:
    good, bad = make_check(Probe("icmp")), make_check(Probe("telepathy"))
    plan = Plan(ASKER, 1, (bad, good), SECOND, b"key")
    assert list(find_unaskable(plan)) == [bad.id]


def test_what_exceeds_the_budget_is_not_asked() -> None:
    checks = tuple(make_check(Probe("icmp"), address=f"10.0.0.{n}", count=4) for n in range(1, 4))
    reasons = find_unaskable(Plan(ASKER, 1, checks, 2 * SECOND, b"key"), max_probes_per_s=4)
    assert reasons == {checks[2].id: "over the agent's budget of 4 probes per second"}


def test_one_check_over_the_budget_does_not_starve_those_behind_it() -> None:
    checks = tuple(make_check(Probe("icmp"), address=f"10.0.0.{n}", count=n) for n in (9, 4, 1))
    assert list(find_unaskable(Plan(ASKER, 1, checks, SECOND, b"key"), max_probes_per_s=5)) == [checks[0].id]
