"""The server's accounts: separate worlds of subjects, and the exports and imports that join them.

Rule: the collector's streams, buckets and ``$JS.API`` are in an account of their own. A server checks the
subject of a message and not its reply subject; but a reply subject is always one of the asker's own account,
and an answer that an import has brought back passes no other import. So no answer that an agent or an
operator asks for can reach the collector's account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netprobe.bus.permissions import REPLY_TIME_S, agent_user, collector_user, operator_user
from netprobe.bus.subjects import (
    EACH_PLAN,
    EACH_PLAN_GET,
    EACH_PLAN_REQUEST,
    EACH_PRESENCE,
    EACH_PROBE,
    EACH_QUERY,
    EACH_WINDOW,
)
from netprobe.model.names import AgentId

COLLECTOR_ACCOUNT = "netprobe"
"""Streams, buckets and the collector."""
AGENTS_ACCOUNT = "agents"
OPERATORS_ACCOUNT = "operators"
SYSTEM_ACCOUNT = "system"
"""The server's own events; it has no users, and the collector hears of it only what is named here."""

AGENT_PAYLOAD_BYTES = 4 * 1024 * 1024
"""The largest message of an agent."""
AGENT_SUBSCRIPTIONS = 32
"""Of one connection; an agent needs three."""
OPERATOR_SUBSCRIPTIONS = 64

AGENT_EVENTS = tuple(f"$SYS.ACCOUNT.{AGENTS_ACCOUNT}.{event}" for event in ("CONNECT", "DISCONNECT"))
"""Where the server tells which agents come and go; the collector hears it."""
KICK = "$SYS.REQ.SERVER.*.KICK"
"""Where the collector asks the server to end a connection."""

AGENT_SERVICES = {EACH_WINDOW: EACH_WINDOW, EACH_PRESENCE: EACH_PRESENCE, EACH_PLAN_GET: EACH_PLAN_REQUEST}
"""Where an agent sends something and hears one answer, and what that is called in the collector's account."""

Accounts = dict[str, dict[str, Any]]
"""The server's ``accounts``."""


def accounts(agents: Mapping[AgentId, str], operators: tuple[str, ...], collector: str) -> Accounts:
    """Every account with its users, sorted; *agents* maps agents to public keys."""
    return {
        COLLECTOR_ACCOUNT: {
            "jetstream": "enabled",
            "users": [collector_user(collector)],
            "exports": [
                *(_exported("service", subject, AGENTS_ACCOUNT) for subject in AGENT_SERVICES.values()),
                _exported("stream", EACH_PLAN, AGENTS_ACCOUNT),
                _exported("service", EACH_QUERY, OPERATORS_ACCOUNT) | _patient(),
            ],
            "imports": [
                _imported("service", EACH_PROBE, AGENTS_ACCOUNT),
                *(_imported("stream", subject, SYSTEM_ACCOUNT) for subject in AGENT_EVENTS),
                _imported("service", KICK, SYSTEM_ACCOUNT),
            ],
        },
        AGENTS_ACCOUNT: {
            "users": [agent_user(agent, public) for agent, public in sorted(agents.items())],
            "limits": {"max_payload": AGENT_PAYLOAD_BYTES, "max_subscriptions": AGENT_SUBSCRIPTIONS},
            "exports": [_exported("service", EACH_PROBE, COLLECTOR_ACCOUNT, OPERATORS_ACCOUNT) | _patient()],
            "imports": [
                *(
                    _imported("service", theirs, COLLECTOR_ACCOUNT) | ({"to": ours} if ours != theirs else {})
                    for ours, theirs in AGENT_SERVICES.items()
                ),
                _imported("stream", EACH_PLAN, COLLECTOR_ACCOUNT),
            ],
        },
        OPERATORS_ACCOUNT: {
            "users": [operator_user(public) for public in sorted(operators)],
            "limits": {"max_subscriptions": OPERATOR_SUBSCRIPTIONS},
            "imports": [
                _imported("service", EACH_QUERY, COLLECTOR_ACCOUNT),
                _imported("service", EACH_PROBE, AGENTS_ACCOUNT),
            ],
        },
        SYSTEM_ACCOUNT: {
            "users": [],
            "exports": [
                *(_exported("stream", subject, COLLECTOR_ACCOUNT) for subject in AGENT_EVENTS),
                _exported("service", KICK, COLLECTOR_ACCOUNT),
            ],
        },
    }


def _exported(kind: str, subject: str, *to: str) -> dict[str, Any]:
    return {kind: subject, "accounts": list(to)}


def _patient() -> dict[str, str]:
    """The server would forget who asked after two minutes; the slowest questions take hours."""
    return {"response_threshold": f"{REPLY_TIME_S}s"}


def _imported(kind: str, subject: str, account: str) -> dict[str, Any]:
    return {kind: {"account": account, "subject": subject}}
