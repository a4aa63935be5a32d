"""Every kind of attack by its name."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from tests.attack import packets, strangers, thefts
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
}
