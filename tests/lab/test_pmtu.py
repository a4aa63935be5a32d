"""``pmtu`` on real packets: each direction on its own, each of its four names, over IPv4 and IPv6.

a (prod/w1/pod) ── r ── b (dev/w1/pod)
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netprobe.model.outcome import Reached, Rejected, TimedOut
from tests.facts import texts
from tests.lab.agents import MS, PORT
from tests.lab.linear_network import (
    BACK,
    Line,
    family_of,
    version_of,
)
from tests.lab.namespaces import need_namespaces

pytestmark = [pytest.mark.lab, need_namespaces()]

B4, B6 = "10.2.0.2", "fd00:2::2"
R = {B4: "10.1.0.2", B6: "fd00:1::2"}
BOTH = pytest.mark.parametrize("address", [B4, B6], ids=["v4", "v6"])


@pytest.fixture
def scene(linear_network: Line) -> Iterator[Line]:
    yield linear_network
    linear_network.clear()


@BOTH
def test_pmtu_of_a_sound_path_is_ok_both_ways(scene: Line, address: str) -> None:
    answer = scene.ask("pmtu", address, port=PORT)
    assert isinstance(answer.outcomes[0], Reached)
    assert texts(answer.details[0].facts) == {
        "forward": "ok: 1500 bytes pass, the largest tried",
        "back": "ok: 1500 bytes pass, as many as arrive there",
    }


@BOTH
@pytest.mark.parametrize(
    ("side", "blamed", "sound"), [("daddr", "forward", "back"), ("saddr", "back", "forward")]
)
def test_a_black_hole_is_found_in_its_direction(
    scene: Line, address: str, side: str, blamed: str, sound: str
) -> None:
    rule = f"{family_of(address)} {side} {address} meta length > 1333 drop"
    scene.r.nft(f"add rule inet test forward {rule}")
    answer = scene.ask("pmtu", address, port=PORT)
    facts = texts(answer.details[0].facts)
    assert isinstance(answer.outcomes[0], TimedOut)
    assert str(answer.details[0].words) == f"blackhole {blamed} above 1333 bytes"
    assert facts[blamed].startswith("blackhole: 1333 bytes pass")
    assert facts[sound].startswith("ok: ")


@BOTH
def test_a_router_that_tells_its_mtu_is_healthy(scene: Line, address: str) -> None:
    scene.r.ip("link set to-b mtu 1300\n")
    try:
        answer = scene.ask("pmtu", address, port=PORT)
    finally:
        scene.r.ip("link set to-b mtu 1500\n")
    assert isinstance(answer.outcomes[0], Reached)
    forward = texts(answer.details[0].facts)["forward"]
    assert forward == f"reduced: 1300 bytes pass, as {R[address]} says; path MTU discovery works"


@BOTH
@pytest.mark.parametrize("is_told", [True, False], ids=["told", "kept-quiet"])
def test_a_clamp_on_the_way_back_is_healthy_if_its_router_tells_the_far_end(
    scene: Line, address: str, *, is_told: bool
) -> None:
    """The route's MTU, not the link's: a veth turns away what comes in larger than its own MTU, too."""
    scene.r.ip(f"route replace {BACK[version_of(address)]} mtu lock 1300\n")
    if not is_told:  # the classic mistake: a firewall that drops every ICMP
        scene.r.nft("add rule inet test output meta l4proto { icmp, icmpv6 } meta length > 500 drop")
    try:
        answer = scene.ask("pmtu", address, port=PORT, patience="100")
    finally:
        scene.r.ip(f"route replace {BACK[version_of(address)]}\n")
    facts = texts(answer.details[0].facts)
    assert str(facts["forward"]).startswith("ok: "), facts
    if is_told:
        assert isinstance(answer.outcomes[0], Reached)
        words = "reduced: 1300 bytes pass, as a router tells the far end; path MTU discovery works"
        assert facts["back"] == words, facts
    else:
        assert isinstance(answer.outcomes[0], TimedOut)
        assert str(facts["back"]).startswith("blackhole: 1300 bytes pass, larger ones arrive there"), facts


@BOTH
def test_our_own_interface_is_not_the_network(scene: Line, address: str) -> None:
    scene.a.ip("link set to-r mtu 1400\n")
    try:
        facts = scene.facts("pmtu", address, port=PORT)
    finally:
        scene.a.ip("link set to-r mtu 1500\n")
        scene.a.run("ip", "-6", "route", "replace", "default", "via", R[B6])
    assert facts["forward"] == "ok: 1400 bytes pass, all that this host's own interface lets out"


@BOTH
def test_nothing_passes_unreachable(scene: Line, address: str) -> None:
    scene.r.nft(f"add rule inet test forward {family_of(address)} daddr {address} drop")
    answer = scene.ask("pmtu", address, port=PORT, patience="100")
    assert answer.outcomes == (TimedOut(300 * MS),)
    assert texts(answer.details[0].facts) == {"forward": "unreachable", "back": "unreachable"}


def test_a_rejected_search_names_who_rejected(scene: Line) -> None:
    scene.r.nft(f"add rule inet test forward ip daddr {B4} reject with icmp type admin-prohibited")
    assert scene.ask("pmtu", B4, port=PORT).outcomes == (Rejected(R[B4], 3, 13),)
