"""Who may say and hear what: the server's users and their permissions.

Rule: an agent may publish its own windows and presence, ask for its own plan, answer what it was asked, and
hear its own plan, questions and replies; nothing else. A reply subject cannot be restricted, so an agent
could make the server's acknowledgement land anywhere: every receiver also checks who is named in a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

_REPLY_TIME = "60s"


def agent_user(agent: AgentId, public: str) -> dict[str, Any]:
    """The server's user entry of one agent."""
    return {
        "nkey": public,
        "permissions": {
            "publish": {
                "allow": [windows_subject(agent), presence_subject(agent), plan_get_subject(agent)],
            },
            "subscribe": {
                "allow": [plan_subject(agent), probe_subject(agent), f"{inbox_of(public)}.>"],
            },
            "allow_responses": {"max": 1, "expires": _REPLY_TIME},
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


def users(agents: Mapping[AgentId, str], operators: tuple[str, ...], collector: str) -> list[dict[str, Any]]:
    """Every user entry, sorted; *agents* maps agents to public keys."""
    return [
        collector_user(collector),
        *(operator_user(public) for public in sorted(operators)),
        *(agent_user(agent, public) for agent, public in sorted(agents.items())),
    ]
