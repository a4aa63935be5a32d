"""Every kind of attack by its name."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from tests.attack import clocks, connections, disks, floods, lies, packets, strangers, texts, thefts
from tests.attack.replies import ROLES, attack_replies
from tests.attack.tally import AttackTally

EXPERIMENTS: dict[str, Callable[[], Coroutine[Any, Any, AttackTally]]] = {
    **{f"replies of an {role}": partial(attack_replies, role) for role in ROLES},
    "subjects of others": thefts.attack_directly,
    "message ids": thefts.attack_message_ids,
    "roll-ups": thefts.attack_roll_ups,
    "statuses": thefts.attack_statuses,
    "quotas": thefts.attack_quotas,
    "answers to plans": thefts.attack_plan_answers,
    "streams": thefts.attack_streams_of_the_collector,
    "logins": strangers.attack_logins,
    "clusters": strangers.attack_clusters,
    "stolen plans": packets.attack_with_a_stolen_plan,
    "answers from elsewhere": packets.attack_from_elsewhere,
    "recorded requests": packets.attack_with_recordings,
    "requests of strangers": packets.attack_as_a_stranger,
    "clock of the collector": clocks.attack_clock_of_the_collector,
    "clocks of agents": clocks.attack_clocks_of_agents,
    "silent connections": connections.attack_with_silent_connections,
    "many connections": connections.attack_with_many_connections,
    "full disk": disks.attack_with_a_full_disk,
    "locked history": disks.attack_with_a_locked_history,
    "spools": disks.attack_spools,
    "hostile texts": texts.attack_with_texts,
    "lies": lies.attack_with_lies,
    "floods": floods.attack_with_floods,
    "addresses": floods.attack_with_addresses,
}

IN_NAMESPACES = frozenset({"full disk"})
"""Kinds that need namespaces of their own, which not every machine makes (`benchmarks.chaos.namespaces`)."""
