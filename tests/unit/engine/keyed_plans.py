"""Plans with keys of asker and responder, for engines on loopback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netprobe.model.check import Check, Plan
from netprobe.model.names import AgentId
from netprobe.wire.pair_keys import derive_asker_key, derive_responder_key
from netprobe.wire.stamp import short_name

MASTER = b"what never leaves the collector"
INTERVAL_NS = 200_000_000


def key_plan(
    agent: AgentId,
    checks: Iterable[Check] = (),
    *,
    peers: Mapping[AgentId, tuple[str, ...]] | None = None,
    targets: Iterable[str] = (),
    services: Iterable[str] = (),
    key_epoch: int = 5,
    epoch: int = 1,
) -> Plan:
    """The plan of *agent*: it answers *peers*, under its own name and those of *services*."""
    epochs = (key_epoch, key_epoch + 1, key_epoch - 1)
    names = (str(agent), *services)
    own = tuple(
        (name, tuple(derive_responder_key(MASTER, name, key_epoch=each) for each in epochs)) for name in names
    )
    asker = short_name(str(agent))
    target_keys = tuple(
        (name, derive_asker_key(derive_responder_key(MASTER, name, key_epoch=key_epoch), asker))
        for name in targets
    )
    return Plan(
        agent, epoch, tuple(checks), INTERVAL_NS,
        peers=tuple((peers or {}).items()), own_keys=own, target_keys=target_keys,
    )  # fmt: skip
