"""Packets that no peer answers: whether the far gateway's own counters show that they arrived.

Rule: a counter counts others' packets, too, so only one that grew by as many as were sent, and by less than
twice as many, is taken for theirs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeAlias

from netprobe.craft.kind import Counted, CraftVerdict, Silent
from netprobe.discovery.gateway import ipsec_refusals, nftables
from netprobe.discovery.gateway.readings import gather_evidence
from netprobe.discovery.ssh.connection import open_host
from netprobe.discovery.ssh.errors import HostOutputError, SshError
from netprobe.echo import echo
from netprobe.model.check import Check
from netprobe.model.gateway import IpsecRefusals, Reading, RuleCounter
from netprobe.model.inventory import Inventory
from netprobe.model.names import NodeId
from netprobe.model.ssh import SshAccess
from netprobe.wire.messages import CheckAnswer

_READERS = (ipsec_refusals.READER, nftables.READER)
_TAKES = ("drop", "reject")
Asking: TypeAlias = Callable[[Check], Coroutine[Any, Any, CheckAnswer]]
"""Puts a check to its agent."""


def find_far_gateway(inventory: Inventory, check: Check) -> tuple[NodeId, SshAccess] | None:
    """The node that is asked, and how it is reached over SSH; None where the inventory does not say."""
    where = check.target.node
    node = inventory.find_node(where) if where is not None else None
    return (where, node.ssh) if where is not None and node is not None and node.ssh is not None else None


async def ask_and_read(
    ask: Asking, check: Check, gateway: tuple[NodeId, SshAccess]
) -> tuple[CheckAnswer, tuple[Reading, Reading] | None]:
    """The agent's answer, and what the gateway counted before and after; None where it cannot be read."""
    where, access = gateway
    try:
        async with open_host(access) as host:
            before = await gather_evidence(
                host, node=str(where), taken_ns=time.time_ns(), collectors=_READERS
            )
            answer = await ask(check)
            after = await gather_evidence(host, node=str(where), taken_ns=time.time_ns(), collectors=_READERS)
    except (SshError, HostOutputError) as error:
        echo(f"the counters of {where} are not known: {error}", err=True)
        return await ask(check), None
    return answer, (before, after)


def judge_counters(verdict: CraftVerdict, readings: tuple[Reading, Reading], *, sent: int) -> CraftVerdict:
    """*verdict*, or what the counters make of a silence."""
    if not isinstance(verdict, Silent) or not sent:
        return verdict
    counters = tuple(one for one in find_growth(*readings) if sent <= _packets_of(one) < 2 * sent)
    return Counted(verdict.after_ns, sent, counters)


def find_growth(before: Reading, after: Reading) -> Iterator[IpsecRefusals | RuleCounter]:
    """By how much each counter grew of what drops packets; rules that let them pass are left out."""
    rules = {(rule.place, rule.handle): rule for rule in before.facts if isinstance(rule, RuleCounter)}
    refusals = sum(fact.packets for fact in before.facts if isinstance(fact, IpsecRefusals))
    for fact in after.facts:
        match fact:
            case IpsecRefusals(packets):
                yield IpsecRefusals(packets - refusals)
            case RuleCounter(place, handle, verdict, packets) if verdict in _TAKES:
                earlier = rules.get((place, handle))
                yield RuleCounter(place, handle, verdict, packets - (earlier.packets if earlier else 0))


def _packets_of(counter: IpsecRefusals | RuleCounter) -> int:
    return counter.packets
