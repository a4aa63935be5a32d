"""Who is answered and who is believed: the keys of asker and responder, between engines on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from netprobe.engine.engine import Engine
from netprobe.engine.keyring import Keyring, key_name_of
from netprobe.errors import InputError
from netprobe.model.check import Check, Plan, Probe, Target, TargetKind
from netprobe.model.names import AgentId, NodeId
from netprobe.model.outcome import OutcomeKind, Reached, WrongPeer
from netprobe.planning.plan_keys import remove_keys
from netprobe.probes.observation import Observation
from netprobe.wire import stamp
from netprobe.wire.pair_keys import derive_asker_key, derive_responder_key
from netprobe.wire.stamp import short_name
from tests.unit.engine.keyed_plans import MASTER, key_plan
from tests.unit.probes.questions import ASKER, PEER, make_check

OTHER = AgentId.parse("test/w1/pod")
HERE = ("127.0.0.1", "::1")
EVERYBODY = {ASKER: HERE, PEER: HERE, OTHER: HERE}
TIMEOUT_NS = 1_000_000_000
FLEET_KEY = b"the key of the previous build".ljust(32)


def udp_check(port: int, **parameters: object) -> Check:
    probe = Probe("udp", port=port, timeout_ns=TIMEOUT_NS)
    return make_check(probe, **{"address": "127.0.0.1", **parameters})  # type: ignore[arg-type]


@asynccontextmanager
async def two(asking: Plan, answering: Plan) -> AsyncIterator[tuple[Engine, Engine]]:
    """An asker, and a responder."""
    async with (
        Engine(asking.agent, boot="one", port=0) as asker,
        Engine(answering.agent, boot="two", port=0) as peer,
    ):
        asker.use(asking)
        peer.use(answering)
        yield asker, peer


async def ask(asking: Plan, answering: Plan, **parameters: object) -> list[OutcomeKind]:
    async with two(asking, answering) as (asker, peer):
        return read_kinds(await asker.ask(udp_check(peer.port, **parameters)))


def read_kinds(seen: tuple[Observation, ...]) -> list[OutcomeKind]:
    """Silence is silence, also where this process had to stand still and does not blame the network."""
    kinds = [one.outcome.kind for one in seen]
    return [OutcomeKind.TIMED_OUT if kind is OutcomeKind.NOT_MEASURED else kind for kind in kinds]


REACHED, TIMED_OUT = [OutcomeKind.REACHED] * 3, [OutcomeKind.TIMED_OUT] * 3


async def test_an_agent_is_answered_by_whom_its_plan_has_a_key_for() -> None:
    answering = key_plan(PEER, peers=EVERYBODY)
    assert await ask(key_plan(ASKER, targets=[str(PEER)]), answering) == REACHED


async def test_an_agent_that_is_no_peer_is_not_answered_though_its_key_is_right() -> None:
    answering = key_plan(PEER, peers={OTHER: HERE})
    assert await ask(key_plan(ASKER, targets=[str(PEER)]), answering) == TIMED_OUT


@pytest.mark.parametrize(("epoch", "outcomes"), [(4, REACHED), (6, REACHED), (3, TIMED_OUT), (7, TIMED_OUT)])
async def test_keys_of_the_last_and_of_the_next_epoch_are_believed(
    epoch: int, outcomes: list[OutcomeKind]
) -> None:
    """So either side may be without the bus for a whole key epoch."""
    asking = key_plan(ASKER, targets=[str(PEER)], key_epoch=epoch)
    answering = replace(key_plan(PEER, peers=EVERYBODY, key_epoch=5), peers=((ASKER, ()),))
    assert await ask(asking, answering) == outcomes


async def test_a_key_for_one_target_opens_no_other() -> None:
    asking = key_plan(ASKER, targets=[str(OTHER)])
    stolen = replace(asking, target_keys=((str(PEER), asking.target_keys[0][1]),))
    answering = replace(key_plan(PEER), peers=((ASKER, ()),))
    assert await ask(stolen, answering) == TIMED_OUT


async def test_without_a_key_an_agent_is_not_asked_and_not_called_lost() -> None:
    async with two(key_plan(ASKER), key_plan(PEER, peers=EVERYBODY)) as (asker, peer):
        check = udp_check(peer.port)
        with pytest.raises(InputError, match="the plan holds no key for dev/w1/pod"):
            await asker.ask(check)
        asker.use(key_plan(ASKER, [check]))
        assert "holds no key" in asker.unaskable[check.id]


async def test_a_withdrawn_agent_neither_asks_nor_answers() -> None:
    asking, answering = key_plan(ASKER, targets=[str(PEER)]), key_plan(PEER, peers=EVERYBODY)
    assert await ask(asking, remove_keys(answering)) == TIMED_OUT
    async with two(asking, answering) as (asker, peer):
        asker.use(remove_keys(asking))
        with pytest.raises(InputError, match="holds no key"):
            await asker.ask(udp_check(peer.port))


async def test_another_agent_at_the_address_says_who_it_is() -> None:
    """It cannot prove the request, which was sealed for another agent, and knows the asker."""
    asking = key_plan(ASKER, targets=[str(PEER), str(OTHER)])
    async with two(asking, key_plan(OTHER, peers=EVERYBODY)) as (asker, other):
        seen = await asker.ask(udp_check(other.port))
    outcomes = [one.outcome for one in seen]
    assert all(isinstance(each, WrongPeer) and each.answered_by == str(OTHER) for each in outcomes)
    assert all(one.received_count is None for one in seen)


@pytest.mark.parametrize(
    ("peers", "targets"),
    [
        ({ASKER: ("192.0.2.1",)}, [str(PEER), str(OTHER)]),
        ({}, [str(PEER), str(OTHER)]),
        (EVERYBODY, [str(PEER)]),
    ],
    ids=["another address than the asker's", "an asker it does not know", "a responder that we do not know"],
)
async def test_who_cannot_be_told_apart_from_a_stranger_is_silent(
    peers: dict[AgentId, tuple[str, ...]], targets: list[str]
) -> None:
    assert await ask(key_plan(ASKER, targets=targets), key_plan(OTHER, peers=peers)) == TIMED_OUT


@pytest.mark.parametrize(
    "target",
    [
        Target(TargetKind.SERVICE, "127.0.0.1", "dev/netprobe/echo"),
        Target(TargetKind.ENDPOINT, "127.0.0.1", "dev/netprobe/echo/127.0.0.1"),
    ],
    ids=["service", "endpoint"],
)
async def test_behind_a_service_whoever_stands_there_answers(target: Target) -> None:
    asking = key_plan(ASKER, targets=["dev/netprobe/echo"])
    answering = key_plan(PEER, peers=EVERYBODY, services=["dev/netprobe/echo"])
    async with two(asking, answering) as (asker, peer):
        seen = await asker.ask(replace(udp_check(peer.port), target=target))
    assert [one.outcome.kind for one in seen] == REACHED


async def test_at_a_nodes_address_either_plane_answers() -> None:
    node = NodeId.parse("dev/w1")
    target = Target(TargetKind.NODE, "127.0.0.1", "dev/w1", node)
    host = AgentId.parse("dev/w1/host")
    asking = key_plan(ASKER, targets=[str(host), str(PEER)])
    for agent in (host, PEER):
        async with two(asking, key_plan(agent, peers=EVERYBODY)) as (asker, peer):
            seen = await asker.ask(replace(udp_check(peer.port), target=target))
        assert [one.outcome.kind for one in seen] == REACHED


async def test_targets_that_are_no_agents_need_no_key() -> None:
    target = Target(TargetKind.OUTSIDE, "127.0.0.1", "somebody")
    async with Engine(ASKER, boot="one", port=0) as asker:
        asker.use(key_plan(ASKER))
        echo = await asker.ask(make_check(Probe("icmp", timeout_ns=TIMEOUT_NS), address="127.0.0.1"))
        closed = await asker.ask(replace(udp_check(1), target=target))
    assert {one.outcome.kind for one in echo} <= {OutcomeKind.REACHED, OutcomeKind.NOT_MEASURED}
    assert [one.outcome.kind for one in closed] == [OutcomeKind.REFUSED] * 3


async def test_a_quiet_flow_is_held_for_a_peer_by_its_own_key() -> None:
    probe = Probe("idle", timeout_ns=20_000_000_000, options=(("gaps", "1"),))
    asking = key_plan(ASKER, targets=[str(PEER)])
    async with two(asking, key_plan(PEER, peers={OTHER: HERE})) as (asker, peer):
        check = make_check(replace(probe, port=peer.port), address="127.0.0.1", count=1)
        (turned_away,) = await asker.ask(check)
        peer.use(key_plan(PEER, peers=EVERYBODY))
        (held,) = await asker.ask(check)
    assert turned_away.outcome.kind is OutcomeKind.APP_FAILED
    assert isinstance(held.outcome, Reached)


async def test_the_path_mtu_is_searched_with_the_targets_key() -> None:
    asking = key_plan(ASKER, targets=[str(PEER)])
    async with two(asking, key_plan(PEER, peers=EVERYBODY)) as (asker, peer):
        probe = Probe("pmtu", port=peer.port, timeout_ns=20_000_000_000)
        (seen,) = await asker.ask(make_check(probe, address="127.0.0.1", count=1))
    assert isinstance(seen.outcome, Reached)


# --- the previous build --------------------------------------------------------------------------


async def test_agents_of_the_previous_build_ask_and_answer_while_plans_hold_their_key() -> None:
    older_asks, older_answers = (Plan(agent, 1, (), 10**9, FLEET_KEY) for agent in (ASKER, PEER))
    shared = {OTHER: HERE}  # an able agent that has the same address in another cluster
    mixed_asks = replace(key_plan(ASKER, peers=shared, targets=[str(OTHER)]), cookie_key=FLEET_KEY)
    mixed_answers = replace(key_plan(PEER, peers=EVERYBODY), cookie_key=FLEET_KEY)
    assert await ask(older_asks, mixed_answers) == REACHED
    assert await ask(mixed_asks, older_answers) == REACHED
    assert await ask(older_asks, key_plan(PEER, peers=EVERYBODY)) == TIMED_OUT


async def test_with_a_key_of_ones_own_the_fleets_key_proves_nothing() -> None:
    """A thief of the fleet's key answers for agents of the previous build, and for no other."""
    asking = replace(key_plan(ASKER, targets=[str(PEER)]), cookie_key=FLEET_KEY)
    assert await ask(asking, Plan(PEER, 1, (), 10**9, FLEET_KEY)) == TIMED_OUT


# --- answers from elsewhere ----------------------------------------------------------------------


class Relay(asyncio.DatagramProtocol):
    """Takes requests at one address and answers them from others."""

    def __init__(self, *, key: bytes, answering: list[socket.socket]) -> None:
        self._key, self._answering = key, answering
        self.requests: list[stamp.Request] = []

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        request = stamp.decode_request(data, key=self._key)
        self.requests.append(request)
        answer = stamp.StampAnswer(
            request.check, request.boot, request.sequence, request.sent_ntp, request.sent_ntp,
            request.sent_ntp, 1, 1, 1, addr[0], addr[1], 9771, 64, str(PEER), is_paired=True,
        )  # fmt: skip
        for sock in self._answering:
            sock.sendto(stamp.encode_answer(answer, key=self._key, size=len(data)), addr)


async def ask_relay(*from_addresses: str, kind: TargetKind = TargetKind.AGENT) -> list[Observation]:
    asking = key_plan(ASKER, targets=[str(PEER), "dev/netprobe/echo"])
    name = str(PEER) if kind is TargetKind.AGENT else "dev/netprobe/echo"
    key = dict(asking.target_keys)[name]
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.bind(("127.0.0.2", 0))
        port = asked.getsockname()[1]
        answering = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in from_addresses]
        for sock, address in zip(answering, from_addresses, strict=True):
            if address == "127.0.0.2":
                sock.close()
            else:
                sock.bind((address, port))
        sources = [
            asked if address == "127.0.0.2" else sock
            for sock, address in zip(answering, from_addresses, strict=True)
        ]
        transport, _ = await loop.create_datagram_endpoint(
            lambda: Relay(key=key, answering=sources), sock=asked.dup()
        )
        async with Engine(ASKER, boot="one", port=0) as asker:
            asker.use(asking)
            target = Target(kind, "127.0.0.2", name)
            seen = await asker.ask(replace(udp_check(port), target=target))
        transport.close()
        for sock in answering:
            sock.close()
    return list(seen)


async def test_a_proven_answer_from_elsewhere_is_told_and_does_not_reach() -> None:
    seen = await ask_relay("127.0.0.3")
    assert [one.outcome.kind for one in seen] == [OutcomeKind.WRONG_PEER] * 3
    assert {one.answered_by for one in seen} == {"dev/w1/pod at 127.0.0.3"}


async def test_it_does_not_take_the_place_of_the_answer_from_the_right_address() -> None:
    seen = await ask_relay("127.0.0.3", "127.0.0.2")
    assert [one.outcome.kind for one in seen] == REACHED


async def test_behind_a_services_address_the_answer_may_come_from_another() -> None:
    seen = await ask_relay("127.0.0.3", kind=TargetKind.SERVICE)
    assert [one.outcome.kind for one in seen] == REACHED


# --- what one process knows ----------------------------------------------------------------------


def test_from_a_stolen_plan_follows_no_key_of_others() -> None:
    thief, victim, asker = (str(agent) for agent in (OTHER, PEER, ASKER))
    plan = key_plan(OTHER, peers=EVERYBODY, targets=[victim, asker])
    held = {key for _, keys in plan.own_keys for key in keys} | {key for _, key in plan.target_keys}
    needed = {
        derive_asker_key(derive_responder_key(MASTER, responder, key_epoch=epoch), short_name(who))
        for responder in (victim, asker)
        for who in (victim, asker)
        for epoch in (4, 5, 6)
    }
    derived = held | {
        derive_asker_key(key, short_name(name)) for key in held for name in (thief, victim, asker)
    }
    assert not derived & needed


def test_session_numbers_and_nonces_are_not_made_of_names() -> None:
    """Name and boot are known to all: a thief of a key could forge answers with them."""
    one, other = Engine(ASKER, boot="b00t"), Engine(ASKER, boot="b00t")
    assert one._udp.boot != other._udp.boot
    assert one._keys.nonce != other._keys.nonce
    assert one._keys.own != other._keys.own


def test_at_an_address_that_two_agents_have_it_is_not_known_whose_key_it_needs() -> None:
    keys = Keyring(ASKER)
    keys.use(
        key_plan(ASKER, peers={PEER: ("10.0.0.2",), OTHER: ("10.0.0.3",)}, targets=[str(PEER), str(OTHER)])
    )
    assert keys.has_seal_at("10.0.0.2")
    assert keys.seal_at("10.0.0.2") != keys.seal_at("10.0.0.3")
    assert not keys.has_seal_at("10.0.0.4")
    keys.use(
        key_plan(ASKER, peers={PEER: ("10.0.0.2",), OTHER: ("10.0.0.2",)}, targets=[str(PEER), str(OTHER)])
    )
    assert not keys.has_seal_at("10.0.0.2")


async def test_a_port_of_an_agent_without_a_key_is_not_called_filtered() -> None:
    """Its address answers an echo, and the agent would be silent."""
    options = (("agents", "9771"), ("icmp", "1"))
    async with Engine(ASKER, boot="one", port=0) as asker:
        asker.use(key_plan(ASKER))
        probe = Probe("ports", timeout_ns=5_000_000_000, options=options)
        (seen,) = await asker.ask(make_check(probe, address="127.0.0.1", count=1))
    assert any("127.0.0.1 udp unknown 9771 not-sent" in value for value in seen.values)


def test_long_names_keep_their_keys() -> None:
    long = AgentId.parse(f"dev/{'n' * 200}/pod")
    check = make_check(Probe("udp", port=1), name=str(long))
    keys = Keyring(ASKER)
    keys.use(key_plan(ASKER, targets=[str(long)]))
    assert keys.seal_for(check).key == key_plan(ASKER, targets=[str(long)]).target_keys[0][1]
    assert key_name_of(check.target) == str(long)
