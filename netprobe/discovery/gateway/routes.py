"""Routes for a pair: ``ip -j route get``, the routing rules beside the kernel's own, and ``rp_filter``."""

from __future__ import annotations

import re

import msgspec

from netprobe.discovery.gateway.interface import (
    AddressPair,
    GatewayReader,
    Printed,
    count,
    decode,
    lines,
    name,
)
from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.model.gateway import ChosenRoute, Fact, PolicyRules, ReversePath

_KERNELS_OWN = {0, 32766, 32767}
_RP_FILTER = re.compile(r"net\.ipv4\.conf\.(?P<interface>\S+)\.rp_filter = (?P<mode>\d)")


class _Route(msgspec.Struct):
    dst: str
    dev: str = ""
    gateway: str = ""
    type: str = ""


class _RoutingRule(msgspec.Struct):
    priority: int


def _commands(pair: AddressPair) -> tuple[Command, ...]:
    about = () if pair.target is None else (Command("route", target=pair.target),)
    return *about, Command("rules"), Command("rp-filter")


def _read(printed: Printed) -> tuple[Fact, ...]:
    facts: list[Fact] = []
    for route in decode(printed["route"], list[_Route], command="ip route") if "route" in printed else []:
        refused = "" if route.type in ("", "unicast", "local") else name(route.type)
        facts.append(ChosenRoute(name(route.dst), name(route.dev), name(route.gateway), refused))
    if b"unreachable" in printed.get("route!", b""):
        facts.append(ChosenRoute("", "", refused="unreachable"))
    if "rules" in printed:
        rules = decode(printed["rules"], list[_RoutingRule], command="ip rule")
        facts.append(PolicyRules(sum(rule.priority not in _KERNELS_OWN for rule in rules)))
    return *facts, *_reverse_paths(lines(printed.get("rp-filter", b"")))


def _reverse_paths(told: list[str]) -> tuple[ReversePath, ...]:
    found = [match for line in told if (match := _RP_FILTER.fullmatch(line))]
    modes = {match["interface"]: count(match["mode"], command="sysctl") for match in found}
    every = modes.pop("all", 0)
    modes.pop("default", None)
    # The kernel takes the larger of both (Documentation/networking/ip-sysctl, rp_filter).
    return tuple(ReversePath(name(interface), max(mode, every)) for interface, mode in sorted(modes.items()))


READER = GatewayReader("routes", _commands, _read)
