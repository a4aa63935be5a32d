"""Every plan gets the keys that its agent needs, and no other."""

from __future__ import annotations

from dataclasses import replace

from netprobe.model.check import Plan, TargetKind
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.planning.plan_keys import MAX_ACQUAINTED, add_keys, remove_keys
from netprobe.wire.messages import decode_plan, encode_plan
from netprobe.wire.pair_keys import derive_asker_key
from netprobe.wire.stamp import short_name
from tests.scenarios.default_topology import build_inventory
from tests.unit.planning.test_fleet_plan import build_fleet

MASTER = b"what never leaves the collector"
FLEET_KEY = b"the key of the previous build"


def key_fleet(
    inventory: Inventory, *, key_epoch: int = 3, master: bytes = MASTER, **parameters: object
) -> tuple[Plan, ...]:
    fleet = plan_fleet(inventory, epoch=1, seed=7, interval_ns=10**9, cookie_key=FLEET_KEY)
    keyed = add_keys(fleet.plans, inventory, master=master, key_epoch=key_epoch, **parameters)  # type: ignore[arg-type]
    return tuple(keyed)


SMALL, LARGE = build_inventory(), build_fleet(3, 50)
PLANS = key_fleet(SMALL)
BY_AGENT = {plan.agent: plan for plan in PLANS}


def test_every_asker_has_what_its_target_derives() -> None:
    for plan in (*PLANS, *key_fleet(LARGE)):
        held = dict(plan.target_keys)
        for check in plan.checks:
            if check.target.kind is TargetKind.AGENT:
                assert check.target.name in held
            elif check.probe.kind == "udp":
                assert f"{check.target.cluster}/{check.target.service_name}" in held
    for plan in PLANS:
        own = dict(plan.own_keys)
        for asker, _ in plan.peers:
            current = own[str(plan.agent)][0]
            told = dict(BY_AGENT[asker].target_keys)[str(plan.agent)]
            assert told == derive_asker_key(current, short_name(str(asker)))


def test_a_plan_holds_no_key_of_another_agent() -> None:
    """Neither its responder key nor what a third agent asks it with."""
    own_of = {plan.agent: {key for _, keys in plan.own_keys[:1] for key in keys} for plan in PLANS}
    targets_of = {plan.agent: {key for _, key in plan.target_keys} for plan in PLANS}
    for plan in PLANS:
        held = own_of[plan.agent] | targets_of[plan.agent]
        for other in PLANS:
            if other.agent != plan.agent:
                assert not held & own_of[other.agent]
                assert not held & targets_of[other.agent]
        assert plan.cookie_key == b""
        assert MASTER not in encode_plan(plan)
        assert FLEET_KEY not in encode_plan(plan)


def test_who_answers_for_a_service_has_its_key_beside_its_own() -> None:
    (cluster, service, address) = next(
        (cluster, service, address)
        for cluster in SMALL.clusters
        for service in cluster.services
        for address in service.endpoints
    )
    behind = [
        plan
        for plan in PLANS
        if plan.agent.cluster == cluster.name and address in dict(plan.peers).get(plan.agent, ())
    ]
    assert behind
    for plan in behind:
        assert [name for name, _ in plan.own_keys] == [str(plan.agent), f"{cluster.name}/{service.qualified}"]


def test_next_epochs_keys_are_known_to_responders_before_askers_use_them() -> None:
    before, after = PLANS[0], key_fleet(SMALL, key_epoch=4)[0]
    (_, (current, following, _)), (_, (now, _, last)) = before.own_keys[0], after.own_keys[0]
    assert (now, last) == (following, current)
    assert not {key for _, key in before.target_keys} & {key for _, key in after.target_keys}


def test_small_fleets_all_know_each_other_and_large_ones_by_their_plan() -> None:
    """On demand anybody may be asked; in a large fleet, whom the plan names."""
    assert all(len(plan.peers) == len(PLANS) == len(plan.target_keys) - _services(plan) for plan in PLANS)
    large = key_fleet(LARGE)
    assert len(large) > MAX_ACQUAINTED
    assert max(len(plan.peers) for plan in large) < len(large) / 2


def _services(plan: Plan) -> int:
    return sum(AgentId.find(name) is None for name, _ in plan.target_keys)


def test_another_secret_makes_other_keys() -> None:
    other = key_fleet(SMALL, master=b"another")
    for one, two in zip(PLANS, other, strict=True):
        assert not {key for _, key in one.target_keys} & {key for _, key in two.target_keys}


def test_during_an_upgrade_only_able_agents_have_keys_of_their_own() -> None:
    older = PLANS[0].agent
    mixed = key_fleet(SMALL, fleet_key=FLEET_KEY, able=set(BY_AGENT) - {older})
    assert all(plan.cookie_key == FLEET_KEY for plan in mixed)
    assert all(str(older) not in dict(plan.target_keys) for plan in mixed)
    assert all(plan.own_keys for plan in mixed), "one that comes back upgraded answers at once"


def test_a_withdrawn_plan_holds_nothing() -> None:
    empty = remove_keys(replace(PLANS[0], epoch=9))
    assert (empty.checks, empty.peers, empty.cookie_key, empty.own_keys, empty.target_keys) == (
        (),
        (),
        b"",
        (),
        (),
    )
    assert decode_plan(encode_plan(empty)) == empty


def test_plans_with_keys_survive_the_wire() -> None:
    assert decode_plan(encode_plan(PLANS[0])) == PLANS[0]
