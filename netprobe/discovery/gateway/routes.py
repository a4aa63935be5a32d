"""Routes for a pair: ``ip -j route get``, the routing rules beside the kernel's own, and ``rp_filter``.

A route that refuses is never printed: the kernel answers with an error, and each kind has its own (seen with
iproute2 6.1 on Linux, IPv4 and IPv6; a routing rule of that kind answers the same).
"""

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

_ERRORS = {
    "No route to host": "unreachable", "Host is unreachable": "unreachable",
    "Invalid argument": "blackhole",
    "Permission denied": "prohibit",
    "Network is unreachable": "", "Network unreachable": "",
}  # fmt: skip
"""strerror(3) of glibc and of musl → the kind of route that refuses; empty where there is no route at all."""
_ERROR = re.compile(r"RTNETLINK answers: (?P<words>.+?)\s*")
_REFUSING = frozenset({"unreachable", "blackhole", "prohibit"})
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
        refused = route.type if route.type in _REFUSING else ""
        facts.append(ChosenRoute(name(route.dst), name(route.dev), name(route.gateway), refused))
    facts += _refused(printed.get("route!", b""))
    if "rules" in printed:
        rules = decode(printed["rules"], list[_RoutingRule], command="ip rule")
        facts.append(PolicyRules(sum(rule.priority not in _KERNELS_OWN for rule in rules)))
    return *facts, *_reverse_paths(lines(printed.get("rp-filter", b"")))


def _refused(complaint: bytes) -> list[ChosenRoute]:
    """What an error of ``ip route get`` says about the route; nothing where it is about something else."""
    said = (_ERROR.fullmatch(line) for line in lines(complaint))
    found = (_ERRORS.get(match["words"]) for match in said if match is not None)
    return [ChosenRoute("", "", refused=kind) for kind in found if kind is not None]


def _reverse_paths(told: list[str]) -> tuple[ReversePath, ...]:
    found = [match for line in told if (match := _RP_FILTER.fullmatch(line))]
    # A dot in a name (a VLAN: eth0.100) is a slash here: sysctl(8) separates words by dots.
    modes = {match["interface"].replace("/", "."): count(match["mode"], command="sysctl") for match in found}
    every = modes.pop("all", 0)
    modes.pop("default", None)
    # The kernel takes the larger of both (Documentation/networking/ip-sysctl, rp_filter).
    return tuple(ReversePath(name(interface), max(mode, every)) for interface, mode in sorted(modes.items()))


READER = GatewayReader("routes", _commands, _read)
