"""Who may say and hear what: the server's users and their permissions.

Rule: an agent may publish its own windows and presence, ask for its own plan, answer what it was asked, and
hear its own plan, questions and replies; nothing else. A reply subject cannot be restricted: accounts keep
answers in the asker's own world (:mod:`netprobe.bus.accounts`), and every receiver there also checks who is
named in a message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netprobe.bus.questions import LONGEST_ANSWER_S
from netprobe.bus.subjects import (
    EVERY_PROBE,
    EVERY_QUERY,
    inbox_of,
    plan_get_subject,
    plan_subject,
    presence_subject,
    probe_subject,
    windows_subject,
)
from netprobe.model.names import AgentId

REPLIES_MAX = 1
REPLY_TIME_S = LONGEST_ANSWER_S + 60
"""How long the server accepts an answer to a request; a later one is refused."""


@dataclass(frozen=True, slots=True)
class SubjectPermissions:
    """Subjects that a client may publish and subscribe to; it may also answer each request once, in time."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def agent_rights(agent: AgentId, inbox: str) -> SubjectPermissions:
    """What one agent may, however it has shown that it is that agent."""
    return SubjectPermissions(
        publish=(windows_subject(agent), presence_subject(agent), plan_get_subject(agent)),
        subscribe=(plan_subject(agent), probe_subject(agent), f"{inbox}.>"),
    )


def agent_user(agent: AgentId, public: str) -> dict[str, Any]:
    """The server's user entry of one agent that has an nkey."""
    rights = agent_rights(agent, inbox_of(public))
    return {
        "nkey": public,
        "permissions": {
            "publish": {"allow": list(rights.publish)},
            "subscribe": {"allow": list(rights.subscribe)},
            "allow_responses": {"max": REPLIES_MAX, "expires": f"{REPLY_TIME_S}s"},
        },
    }


def operator_user(public: str) -> dict[str, Any]:
    """The server's user entry of a person or program that asks."""
    return {
        "nkey": public,
        "permissions": {
            "publish": {"allow": [EVERY_QUERY, EVERY_PROBE]},
            "subscribe": {"allow": [f"{inbox_of(public)}.>"]},
        },
    }


def collector_user(public: str) -> dict[str, Any]:
    """The server's user entry of the collector: everything."""
    return {"nkey": public}
