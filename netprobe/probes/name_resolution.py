"""Resolve a name as this host does (``/etc/resolv.conf``), so that its time and its failure have a name.

The search list follows resolv.conf(5): a name with fewer dots than ``ndots`` is tried with each suffix first.
"""

from __future__ import annotations

from dataclasses import replace

from netprobe.model.check import Check
from netprobe.model.outcome import NotResolved, TimedOut
from netprobe.model.prose import Prose
from netprobe.probes.net import Net, Resolvers
from netprobe.probes.observation import Observation


def parse_resolvers(text: str) -> Resolvers:
    r"""Read resolv.conf(5); what is not understood is left out.

    >>> parse_resolvers("search a.svc svc\nnameserver 10.0.0.10\noptions ndots:5 edns0")
    Resolvers(servers=('10.0.0.10',), search=('a.svc', 'svc'), ndots=5)
    """
    found = Resolvers()
    for line in text.splitlines():
        match line.split():
            case ["nameserver", server, *_]:
                found = replace(found, servers=(*found.servers, server))
            case ["search" | "domain", *search]:
                found = replace(found, search=tuple(one.rstrip(".") for one in search))
            case ["options", *options]:
                told = [one[6:] for one in options if one.startswith("ndots:") and one[6:].isdecimal()]
                found = replace(found, ndots=int(told[-1])) if told else found
    return found


async def resolve(check: Check, net: Net, name: str) -> tuple[str, ...] | Observation:
    """The addresses of *name*, in the target's family; a failure says which server said what."""
    from netprobe.probes import dns  # noqa: PLC0415 - only who resolves loads the codec

    resolvers = net.resolvers()
    if not resolvers.servers:
        return Observation(NotResolved(name, "this host knows no DNS server"))
    kind = "AAAA" if ":" in check.target.address else "A"
    server, why = resolvers.servers[0], ""
    at = replace(check, target=replace(check.target, address=server))
    for candidate in resolvers.candidates(name):
        found = await dns.look_up(at, net, name=candidate, kind=kind)
        if not isinstance(found, Observation):
            return found
        if not isinstance(found.outcome, NotResolved):
            rcode = "timeout" if isinstance(found.outcome, TimedOut) else str(found.outcome.kind)
            return Observation(
                NotResolved(name, rcode), detail=Prose(f"resolve {name}: {server} {found.words}")
            )
        why = why or found.outcome.rcode
    return Observation(NotResolved(name, why), detail=Prose(f"resolve {name}: {server} says {why}"))
