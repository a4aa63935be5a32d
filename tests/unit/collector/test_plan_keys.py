"""The master secret, key epochs, and the key of the previous build: who gets it, and until when."""

from __future__ import annotations

import asyncio
import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from netprobe.collector.plan_keys import KEY_EPOCH_NS, UPGRADE_NS, PlanKeys
from netprobe.errors import InputError
from netprobe.model.capability import Capability
from netprobe.model.check import Plan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId
from netprobe.tasks import end_tasks
from netprobe.wire.messages import Presence
from tests.unit.collector.parts import ListBus, collector_parts
from tests.unit.nats_server import until

NOW_NS = 1_800_000_000_000_000_000
ONE, OTHER = AgentId.parse("prod/w1/pod"), AgentId.parse("prod/w2/pod")
FLEET_KEY = b"the key of the previous build"
PLANS = tuple(Plan(agent, 1, (), 10**9, FLEET_KEY) for agent in (ONE, OTHER))


def presence(agent: AgentId, *, able: bool, epoch: int = 1) -> Presence:
    means = (Capability.ICMP_RAW, *((Capability.PAIR_KEYS,) if able else ()))
    return Presence(agent, "b00t", 1, epoch, capabilities=tuple(map(str, means)))


def hand_out(keys: PlanKeys, *, withdrawn: tuple[Plan, ...] = (), now_ns: int = NOW_NS) -> tuple[Plan, ...]:
    return tuple(keys.add_to(PLANS, withdrawn, Inventory(), now_ns=now_ns))


@pytest.fixture
def upgraded(tmp_path: Path) -> PlanKeys:
    """Of a collector that begins with the files of the previous build."""
    (tmp_path / "state.json").write_text("{}")
    return PlanKeys(tmp_path, now_ns=NOW_NS)


def test_the_secret_is_its_owners_and_survives_a_restart(tmp_path: Path) -> None:
    first = hand_out(PlanKeys(tmp_path, now_ns=NOW_NS))
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert hand_out(PlanKeys(tmp_path, now_ns=NOW_NS)) == first
    file.unlink()
    assert hand_out(PlanKeys(tmp_path, now_ns=NOW_NS)) != first, "this is how all keys are changed at once"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"master": "xy", "epoch": 1, "since_ns": 1, "upgraded_ns": 0}']
)
def test_a_spoilt_secret_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan-keys.json").write_text(text)
    with pytest.raises(InputError, match=r"plan-keys\.json: does not hold the fleet's secret"):
        PlanKeys(tmp_path, now_ns=NOW_NS)


def test_a_key_epoch_lasts_a_day_and_the_last_one_is_believed_for_another(tmp_path: Path) -> None:
    keys = PlanKeys(tmp_path, now_ns=NOW_NS)
    (before, *_) = hand_out(keys)
    assert not keys.advance(now_ns=NOW_NS + KEY_EPOCH_NS - 1)
    assert keys.advance(now_ns=NOW_NS + KEY_EPOCH_NS)
    assert not keys.advance(now_ns=NOW_NS + KEY_EPOCH_NS)
    (after, *_) = hand_out(keys)
    (_, (current, following, _)), (_, (now, _, last)) = before.own_keys[0], after.own_keys[0]
    assert (now, last) == (following, current)
    assert hand_out(PlanKeys(tmp_path, now_ns=NOW_NS))[0] == after


def test_a_clock_that_jumps_begins_one_epoch_at_most(tmp_path: Path) -> None:
    keys = PlanKeys(tmp_path, now_ns=NOW_NS)
    assert keys.advance(now_ns=NOW_NS + 1_000 * KEY_EPOCH_NS)
    assert not keys.advance(now_ns=NOW_NS), "set back: the epoch is prolonged"
    assert not keys.advance(now_ns=NOW_NS + KEY_EPOCH_NS - 1)
    assert keys.advance(now_ns=NOW_NS + KEY_EPOCH_NS)


def test_a_new_fleet_never_holds_the_previous_builds_key(tmp_path: Path) -> None:
    keys = PlanKeys(tmp_path, now_ns=NOW_NS)
    keys.note_present([presence(ONE, able=False)], now_ns=NOW_NS)
    assert [plan.cookie_key for plan in hand_out(keys, withdrawn=PLANS[:1])] == [b""] * 3


def test_an_upgraded_fleet_holds_it_until_every_agent_is_able(upgraded: PlanKeys, tmp_path: Path) -> None:
    assert [plan.cookie_key for plan in hand_out(upgraded)] == [FLEET_KEY] * 2
    assert [plan.target_keys for plan in hand_out(upgraded)] == [()] * 2
    assert upgraded.note_present([presence(ONE, able=True), presence(OTHER, able=False)], now_ns=NOW_NS)
    assert not upgraded.note_present([presence(ONE, able=True)], now_ns=NOW_NS), "nothing new"
    mixed = hand_out(upgraded)
    assert [plan.cookie_key for plan in mixed] == [FLEET_KEY] * 2
    assert {name for plan in mixed for name, _ in plan.target_keys} == {str(ONE)}
    (tmp_path / "state.json").write_text('{"pair_keys": true}')
    again = PlanKeys(tmp_path, now_ns=NOW_NS)
    assert again.note_present([presence(OTHER, able=True)], now_ns=NOW_NS), "the other one is remembered"
    done = hand_out(again)
    assert [plan.cookie_key for plan in done] == [b""] * 2
    assert {name for plan in done for name, _ in plan.target_keys} == {str(ONE), str(OTHER)}


def test_after_going_back_and_forth_the_week_begins_again(upgraded: PlanKeys, tmp_path: Path) -> None:
    upgraded.note_present([presence(agent, able=True) for agent in (ONE, OTHER)], now_ns=NOW_NS)
    later_ns = NOW_NS + 2 * UPGRADE_NS
    again = PlanKeys(tmp_path, now_ns=later_ns)  # the previous build has written state.json since
    assert [plan.cookie_key for plan in hand_out(again, now_ns=later_ns)] == [FLEET_KEY] * 2


def test_to_change_all_keys_does_not_bring_the_previous_builds_key_back(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"pair_keys": true}')
    assert [plan.cookie_key for plan in hand_out(PlanKeys(tmp_path, now_ns=NOW_NS))] == [b""] * 2


def test_an_agent_that_has_no_plan_yet_does_not_count_as_able(upgraded: PlanKeys) -> None:
    assert not upgraded.note_present([presence(ONE, able=True, epoch=0)], now_ns=NOW_NS)


def test_it_is_held_for_a_week_at_most_and_then_told_in_one_line(
    upgraded: PlanKeys, caplog: pytest.LogCaptureFixture
) -> None:
    last_ns = NOW_NS + UPGRADE_NS - 1
    assert [plan.cookie_key for plan in hand_out(upgraded, now_ns=last_ns)] == [FLEET_KEY] * 2
    upgraded.note_present([presence(ONE, able=False)], now_ns=last_ns)
    assert not caplog.messages
    for _ in range(3):
        upgraded.note_present([presence(ONE, able=False)], now_ns=last_ns + 1)
    assert caplog.messages == [
        "prod/w1/pod is of the previous build, whose packets are not answered now: upgrade it"
    ]
    assert [plan.cookie_key for plan in hand_out(upgraded, now_ns=last_ns + 1)] == [b""] * 2


def test_a_withdrawn_agent_of_the_previous_build_gets_a_key_that_opens_nothing(upgraded: PlanKeys) -> None:
    (*_, gone) = hand_out(upgraded, withdrawn=(replace(PLANS[0], agent=AgentId.parse("prod/w3/pod")),))
    assert gone.cookie_key not in {b"", FLEET_KEY}
    assert (gone.checks, gone.peers, gone.own_keys, gone.target_keys) == ((), (), (), ())


async def test_published_plans_hold_keys_and_go_out_again_when_an_agent_is_upgraded(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with collector_parts(tmp_path / "old") as here:
        key = bytes.fromhex(here.rotation.cookie_key)
    state = tmp_path / "old" / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "pair_keys": False}))
    with collector_parts(tmp_path / "old") as here:
        bus = ListBus()
        agents = [plan.agent for plan in here.rotation.fleet.plans]
        await here.service.publication.publish(bus)
        assert {plan.cookie_key for plan in bus.plans} == {key}
        bus.plans.clear()
        bus.present = tuple(presence(agent, able=True) for agent in agents)
        here.service.publication._looked_ns = 0
        running = asyncio.create_task(here.service.publication.run(bus, every_s=0.01))
        await until(lambda: len(bus.plans) >= len(agents))
        await end_tasks([running])
        assert {plan.cookie_key for plan in bus.plans} == {b""}
        assert all(plan.own_keys and plan.target_keys for plan in bus.plans)
