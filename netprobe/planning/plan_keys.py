"""Gives plans their keys (:mod:`netprobe.wire.pair_keys`). Pure: secrets and epochs are arguments.

Rules:

- a plan holds the keys under which its agent answers, and for each agent or service that it may ask one key
  that is good for nothing else;
- who may ask whom is what the responder's ``peers`` say. In a fleet of up to :data:`MAX_ACQUAINTED` agents
  everybody may ask everybody, because questions on demand are not planned;
- a responder knows the keys of the epoch before, for askers whose plan is older than its own, and of the next
  one, for askers whose plan is newer. So one side may be without the bus for a whole key epoch.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace

from netprobe.model.check import Plan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId
from netprobe.wire.pair_keys import derive_asker_key, derive_responder_key
from netprobe.wire.stamp import short_name

MAX_ACQUAINTED = 256
"""Largest number of agents that all know each other; each plan then has about 25 kB for them."""

Peers = tuple[tuple[AgentId, tuple[str, ...]], ...]


def add_keys(
    plans: Sequence[Plan],
    inventory: Inventory,
    *,
    master: bytes,
    key_epoch: int,
    fleet_key: bytes = b"",
    able: Container[AgentId] | None = None,
) -> Iterator[Plan]:
    """*plans* with the keys of *key_epoch*, and all of one fleet.

    During an upgrade *fleet_key* is the one key of agents of the previous build, and *able* names the agents
    that are not of it: only for those are there keys of their own. Else there is none, and all are able.
    """
    at = _find_addresses(plans, inventory)
    peers_of = _extend_peers(plans, at)
    names_of = _names_of(at, inventory)
    targets_of: dict[AgentId, dict[str, bytes]] = {plan.agent: {} for plan in plans}
    epochs = (key_epoch, key_epoch + 1, key_epoch - 1)
    keys = {
        name: tuple(derive_responder_key(master, name, key_epoch=epoch) for epoch in epochs)
        for names in names_of.values()
        for name in names
    }
    for plan in plans:
        if able is not None and plan.agent not in able:
            continue
        for asker, _ in peers_of[plan.agent]:
            raw = short_name(str(asker))
            for name in names_of[plan.agent]:
                if name not in targets_of[asker]:
                    targets_of[asker][name] = derive_asker_key(keys[name][0], raw)
    for plan in plans:
        yield replace(
            plan,
            cookie_key=fleet_key,
            peers=peers_of[plan.agent],
            own_keys=tuple((name, keys[name]) for name in names_of[plan.agent]),
            target_keys=tuple(targets_of[plan.agent].items()),
        )


def remove_keys(plan: Plan) -> Plan:
    """*plan* without any key, and without anybody to answer or to ask."""
    return replace(plan, checks=(), peers=(), cookie_key=b"", own_keys=(), target_keys=())


def _find_addresses(plans: Sequence[Plan], inventory: Inventory) -> dict[AgentId, tuple[str, ...]]:
    nodes = {cluster.node_id(node): node for cluster in inventory.clusters for node in cluster.nodes}
    found = {}
    for agent in (plan.agent for plan in plans):
        node = nodes.get(agent.node_id)
        own = node.addresses(agent.plane) if node is not None else ()
        found[agent] = (*own, *inventory.link_addresses(agent))
    return found


def _extend_peers(plans: Sequence[Plan], at: Mapping[AgentId, tuple[str, ...]]) -> dict[AgentId, Peers]:
    if len(plans) > MAX_ACQUAINTED:
        return {plan.agent: plan.peers for plan in plans}
    return {plan.agent: tuple(sorted((dict(at) | dict(plan.peers)).items())) for plan in plans}


def _names_of(at: Mapping[AgentId, tuple[str, ...]], inventory: Inventory) -> dict[AgentId, tuple[str, ...]]:
    """Under which names each agent answers: its own, and those of the services whose endpoint it is."""
    behind: dict[tuple[str, str], list[str]] = {}
    for cluster in inventory.clusters:
        for service in cluster.services:
            for address in service.endpoints:
                name = f"{cluster.name}/{service.qualified}"
                behind.setdefault((cluster.name, address), []).append(name)
    return {
        agent: (
            str(agent),
            *dict.fromkeys(
                name for address in addresses for name in behind.get((agent.cluster, address), ())
            ),
        )
        for agent, addresses in at.items()
    }
