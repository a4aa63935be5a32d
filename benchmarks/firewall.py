"""A generated firewall: hosts and ports of every kind, with rules for ``nft`` and the truth about each.

Every host lives in one namespace; a verdict map decides per address and port. Kinds: open, closed (no process
listens), reset (the firewall plays closed), dropped, rejected with each ICMP code, and hosts whose refusals
are limited to so many per second, where closed must not be taken for filtered.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netprobe.model.verdict import PortVerdict, Verdict

if TYPE_CHECKING:
    from netprobe.engine.sweep.ports import PortSweep

REJECTS = {
    "net-unreachable": 0, "host-unreachable": 1, "port-unreachable": 3, "net-prohibited": 9,
    "host-prohibited": 10, "admin-prohibited": 13,
}  # fmt: skip
"""Names of nft and ICMP codes of type 3."""
LIMIT = "limit rate 40/second burst 5 packets"


@dataclass(frozen=True, slots=True)
class Firewall:
    """What stands where."""

    hosts: tuple[str, ...]
    ports: tuple[int, ...]
    listening: tuple[int, ...]
    """Ports on which something listens, on every host."""
    truth: dict[tuple[str, int], str]
    """``open``, ``closed``, ``filtered`` (silence) or ``rejected 3/13`` per pair."""
    rules: str


def generate_firewall(protocol: str, *, hosts: int, ports: int, limited: int, seed: int) -> Firewall:
    """A firewall of *hosts* × *ports* pairs; *limited* of the hosts refuse slowly."""
    chance = random.Random(seed)
    names = tuple(f"10.9.{host // 250}.{host % 250 + 1}" for host in range(hosts))
    numbers = tuple(sorted(chance.sample(range(1000, 30_000), ports)))
    listening = numbers[::2]
    truth: dict[tuple[str, int], str] = {}
    entries: list[str] = []
    for index, host in enumerate(names):
        for port in numbers:
            entry, told = _choose(
                chance, protocol, is_open=port in listening, limiter=index if index < limited else None
            )
            truth[host, port] = told
            if entry:
                entries.append(f"{host} . {port} : {entry}")
    return Firewall(names, numbers, listening, truth, _rules(protocol, entries, limited))


def _choose(chance: random.Random, protocol: str, *, is_open: bool, limiter: int | None) -> tuple[str, str]:
    """The map's entry (empty to let the packet pass) and what a perfect prober says."""
    if limiter is not None:
        told = "closed" if protocol == "udp" else "rejected 3/13"
        return chance.choice(
            [("drop", "filtered"), (f"goto slow{limiter}", told), (f"goto slow{limiter}", told)]
        )
    draw = chance.random()
    if draw < 0.3:
        return "", "open" if is_open else "closed"
    if draw < 0.55:
        return "drop", "filtered"
    if draw < 0.65 and protocol == "tcp":
        return "goto refuse", "closed"
    name, code = chance.choice(sorted(REJECTS.items()))
    closed = protocol == "udp" and code == 3
    return f"goto {name}", "closed" if closed else f"rejected 3/{code}"


def _rules(protocol: str, entries: list[str], limited: int) -> str:
    how = "port-unreachable" if protocol == "udp" else "admin-prohibited"
    chains = {name: f"reject with icmp type {name}" for name in REJECTS}
    chains |= {f"slow{host}": f"{LIMIT} reject with icmp type {how}\ndrop" for host in range(limited)}
    if protocol == "tcp":
        chains["refuse"] = "reject with tcp reset"
    decide = f"ip daddr . {protocol} dport vmap {{ {', '.join(entries)} }}"
    chains["input"] = f"type filter hook input priority 0\n{decide}"
    body = "\n".join(f"chain {name} {{\n{rules}\n}}" for name, rules in chains.items())
    return f"table inet {protocol}wall {{\n{body}\n}}\n"


def words(swept: PortSweep) -> dict[tuple[str, int], str]:
    """Our verdicts, in the words of the truth."""
    return {
        (told.address, told.port): _spell(told) for told in map(swept.verdict, range(len(swept.verdicts)))
    }


def _spell(told: PortVerdict) -> str:
    if told.verdict is Verdict.REJECTED:
        return f"rejected {told.icmp_type}/{told.icmp_code}"
    return str(told.verdict)
