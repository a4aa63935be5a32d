"""nftables: every rule that counts, from ``nft -j list ruleset`` (libnftables-json(5)).

Rules of iptables-nft appear here as well, but of its extensions JSON shows the name alone (``xt``; nft 1.0.6
with iptables 1.8.9): the target ``REJECT`` rejects, and a match such as ``conntrack`` limits the rule in a
way that is not known here. Of what a rule matches only the state ``invalid`` is read: else its place, verdict
and counter are the evidence.
"""

from __future__ import annotations

from typing import Any

import msgspec

from netprobe.discovery.gateway.interface import (
    AddressPair,
    GatewayReader,
    Printed,
    decode,
    name,
)
from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.errors import HostOutputError
from netprobe.model.gateway import Fact, RuleCounter

_VERDICTS = ("drop", "reject", "accept")
_HARMLESS = frozenset({"comment"})
"""Matches of iptables that every packet matches."""


class _NftRule(msgspec.Struct):
    family: str
    table: str
    chain: str
    handle: int
    expr: list[dict[str, Any]] = msgspec.field(default_factory=list)
    comment: str = ""


class _Item(msgspec.Struct):
    rule: _NftRule | None = None


class _Ruleset(msgspec.Struct):
    nftables: list[_Item]


def _commands(pair: AddressPair) -> tuple[Command, ...]:
    del pair
    return (Command("nftables"),)


def _read(printed: Printed) -> tuple[Fact, ...]:
    if "nftables" not in printed:
        return ()
    ruleset = decode(printed["nftables"], _Ruleset, command="nft")
    counters = (_counter_of(item.rule) for item in ruleset.nftables if item.rule is not None)
    return tuple(counter for counter in counters if counter is not None)


def _counter_of(rule: _NftRule) -> RuleCounter | None:
    counter = next((step["counter"] for step in rule.expr if "counter" in step), None)
    # A named counter is a string here: it is shared by rules, so it says nothing about one.
    if not isinstance(counter, dict):
        return None
    packets = counter.get("packets")
    if not isinstance(packets, int) or isinstance(packets, bool) or packets < 0:
        raise HostOutputError(f"nft: rule {rule.handle} counts no packets")
    verdict = next((word for step in rule.expr if (word := _verdict_of(step))), "")
    place = " ".join(name(word) for word in (rule.family, rule.table, rule.chain))
    invalid = any(_is_invalid_state(step.get("match")) for step in rule.expr)
    return RuleCounter(place, rule.handle, verdict, packets, name(rule.comment), invalid, _unread(rule))


def _verdict_of(step: dict[str, Any]) -> str:
    if step.get("xt") == {"type": "target", "name": "REJECT"}:
        return "reject"
    return next((word for word in _VERDICTS if word in step), "")


def _unread(rule: _NftRule) -> tuple[str, ...]:
    """The matches of iptables of which nft tells no content."""
    found = [step["xt"] for step in rule.expr if isinstance(step.get("xt"), dict)]
    names = [one["name"] for one in found if one.get("type") == "match" and isinstance(one.get("name"), str)]
    return tuple(name(text) for text in names if text not in _HARMLESS)


def _is_invalid_state(match: object) -> bool:
    """Whether a match says ``ct state invalid``, and no other state beside it."""
    if not isinstance(match, dict) or match.get("left") != {"ct": {"key": "state"}}:
        return False
    return match.get("op") in {"in", "=="} and match.get("right") in ("invalid", ["invalid"])


READER = GatewayReader("nftables", _commands, _read)
