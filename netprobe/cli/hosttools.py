"""Asking from plain hosts over SSH with their own tools, where no agent runs: coarser, and marked so."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING

from netprobe.cli.gateways import HOST_S, show_progress
from netprobe.discovery.ssh.connect import Host, open_host
from netprobe.discovery.ssh.many import MOST_AT_ONCE, ask_many
from netprobe.discovery.ssh.tools import Coarse, ask_with_tools
from netprobe.model.names import AgentId
from netprobe.model.outcome import NotMeasured
from netprobe.wire.messages import Answer, Detail

if TYPE_CHECKING:
    from netprobe.model.check import Check
    from netprobe.model.reach import SshAccess

COARSER = "the host's own {tool} over SSH: coarser than an agent"
_CHECK_S = 15.0
"""What one check may take on a host that answers."""


def ask_hosts_tools(
    ways: Mapping[AgentId, SshAccess], checks: Mapping[AgentId, tuple[Check, ...]]
) -> dict[AgentId, tuple[Answer, ...]]:
    """Let each host ask its checks, one connection per host, many hosts at once; one answer per check.

    A host that cannot be reached or talks nonsense gets answers that say so.
    """
    asked = {agent: (ways[agent], of_agent) for agent, of_agent in checks.items()}
    most = max((len(of_agent) for of_agent in checks.values()), default=0)

    async def ask(item: tuple[SshAccess, tuple[Check, ...]]) -> tuple[Answer, ...]:
        access, of_agent = item
        async with open_host(access) as host:
            return tuple([await _ask(host, check) for check in of_agent])

    told = asyncio.run(
        ask_many(asked, ask, timeout_s=HOST_S + most * _CHECK_S, at_once=MOST_AT_ONCE,
                 done=show_progress(len(asked)))
    )  # fmt: skip
    return {
        agent: what if isinstance(what, tuple) else tuple(_failed(check, what) for check in checks[agent])
        for agent, what in told.items()
    }


async def _ask(host: Host, check: Check) -> Answer:
    target = ipaddress.ip_address(check.target.address)
    return _answer(check, await ask_with_tools(host, check.probe.kind, target, check.probe.port))


def _answer(check: Check, told: Coarse) -> Answer:
    marked = (("asked with", COARSER.format(tool=told.tool)), *told.facts) if told.tool else told.facts
    return Answer(check.source, check.id, (told.outcome,), (Detail(facts=marked),))


def _failed(check: Check, error: Exception) -> Answer:
    return Answer(check.source, check.id, (NotMeasured(str(error)),), (Detail(),))
