"""A generated firewall for a whole lab: rules on nodes, pods, gateways and routers, and what they mean.

Every rule stands on one host in one of nftables' chains and decides alone: drop, reject, a reject that is
limited in its rate, or a one-way drop of new connections. :class:`Wall` says for each cell which rule meets
its packet first; it knows the ways through the lab from the lab's own description (docs/architecture.md,
"Paths and their legs") and nothing of what netprobe measures.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product

from netprobe.model.inventory import Inventory
from netprobe.model.names import Plane

LIMIT = "limit rate 400/second burst 50 packets"
REJECT = "reject with icmp type admin-prohibited"
TABLE = "generated"
PROTOCOLS = ("tcp", "udp")


@dataclass(frozen=True, slots=True)
class End:
    """An endpoint that is asked and, if it has an agent, asks."""

    name: str
    """``cluster/node/plane``, or ``cluster/node/outer`` for a gateway's address outside."""
    host: str
    """Its namespace: ``cluster/node`` or ``cluster/node/pod``."""
    address: str
    seen_as: tuple[str, ...] = ()
    """Every address its own packets may come from."""

    @property
    def cluster(self) -> str:
        """Its cluster."""
        return self.name.split("/")[0]

    @property
    def node(self) -> str:
        """Its node: ``cluster/node``."""
        return "/".join(self.name.split("/")[:2])

    @property
    def is_outer(self) -> bool:
        """Whether it is a gateway's address outside, which only gateways ask."""
        return self.name.endswith("/outer")


@dataclass(frozen=True, slots=True)
class FirewallRule:
    """One rule on one host."""

    name: str
    host: str
    chain: str
    action: str
    """``drop``, ``reject``, ``limited`` or ``one-way``."""
    sources: frozenset[End]
    targets: frozenset[End]
    protocol: str = ""
    """``tcp`` or ``udp``; empty for both, on all ports."""
    ports: range = range(0)

    @property
    def is_reject(self) -> bool:
        """Whether it says so."""
        return self.action in {"reject", "limited"}

    def meets(self, source: End, target: End, protocol: str, port: int) -> bool:
        """Whether it decides about this packet."""
        return (
            source in self.sources
            and target in self.targets
            and self.protocol in {"", protocol}
            and (not self.ports or port in self.ports)
        )

    def text(self) -> str:
        """As nftables reads it."""
        sources = ", ".join(sorted({text for one in self.sources for text in one.seen_as}))
        targets = ", ".join(sorted({one.address for one in self.targets}))
        match = f"ip saddr {{ {sources} }} ip daddr {{ {targets} }}"
        if self.action == "one-way":
            return f"{match} meta l4proto {{ tcp, udp }} ct state new drop"
        what = {"drop": "drop", "reject": REJECT, "limited": f"jump {self.name}"}[self.action]
        return f"{match} {self.protocol} dport {self.ports[0]}-{self.ports[-1]} {what}"


@dataclass(frozen=True)
class Wall:
    """The rules of all hosts, in the order in which each host reads them."""

    ends: tuple[End, ...]
    ports: tuple[int, ...]
    listening: frozenset[int]
    transit_of: dict[str, str]
    """Each cluster's transit router; routers stand in a line, in the order of *transits*."""
    transits: tuple[str, ...]
    rules: tuple[FirewallRule, ...] = field(default=())

    def cells(self) -> Iterator[tuple[End, End, str, int]]:
        """Every source, target, protocol and port that is asked."""
        for source, target in self.pairs():
            for protocol in PROTOCOLS:
                for port in self.ports:
                    yield source, target, protocol, port

    def pairs(self) -> Iterator[tuple[End, End]]:
        """Who asks whom."""
        for source in self.ends:
            for target in self.ends:
                if source.host != target.host and self._is_asked(source, target):
                    yield source, target

    @staticmethod
    def _is_asked(source: End, target: End) -> bool:
        if source.is_outer:
            return False
        return not target.is_outer or (source.name.endswith("/gw/host") and source.cluster != target.cluster)

    def way(self, source: End, target: End) -> tuple[str, ...]:
        """The hosts a packet meets, both ends included."""
        if target.is_outer:
            line = self._line(self.transit_of[source.cluster], self.transit_of[target.cluster])
            return (source.host, f"{source.cluster}/edge", *line, f"{target.cluster}/edge", target.host)
        hops = [source.host, source.node]
        if source.cluster != target.cluster:
            hops += [f"{source.cluster}/gw", f"{target.cluster}/gw"]
        return tuple(dict.fromkeys([*hops, target.node, target.host]))

    def _line(self, first: str, last: str) -> tuple[str, ...]:
        one, other = self.transits.index(first), self.transits.index(last)
        step = 1 if other >= one else -1
        return tuple(self.transits[at] for at in range(one, other + step, step))

    def places(self, source: End, target: End) -> tuple[tuple[str, str], ...]:
        """The chains a packet meets, in order: host and chain."""
        way = self.way(source, target)
        between = tuple((host, "forward") for host in way[1:-1])
        return ((way[0], "output"), *between, (way[-1], "input"))

    @cached_property
    def _by_place(self) -> dict[tuple[str, str], list[FirewallRule]]:
        found: dict[tuple[str, str], list[FirewallRule]] = defaultdict(list)
        for rule in self.rules:
            found[rule.host, rule.chain].append(rule)
        return found

    def decide(self, source: End, target: End, protocol: str, port: int) -> FirewallRule | None:
        """The rule that meets this packet first; None where it passes."""
        for place in self.places(source, target):
            for rule in self._by_place.get(place, ()):
                if rule.meets(source, target, protocol, port):
                    return rule
        return None

    def touched(self, rule: FirewallRule) -> Iterator[tuple[End, End, str, int]]:
        """Every cell whose packet meets the place of *rule* and fits it, whatever decides about it."""
        for source, target in self.pairs():
            if source not in rule.sources or target not in rule.targets:
                continue
            if (rule.host, rule.chain) in self.places(source, target):
                for protocol, port in product(PROTOCOLS, self.ports):
                    if rule.meets(source, target, protocol, port):
                        yield source, target, protocol, port

    def without(self, rule: FirewallRule) -> Wall:
        """The same without *rule*."""
        return replace(self, rules=tuple(one for one in self.rules if one is not rule))

    def plus(self, rule: FirewallRule) -> Wall:
        """The same with *rule* at the end."""
        return replace(self, rules=(*self.rules, rule))

    def text(self, host: str) -> str:
        """The table of *host*, as nft reads it; loading it replaces what stood there."""
        own = [rule for rule in self.rules if rule.host == host]
        limited = "".join(
            f"chain {rule.name} {{\n{LIMIT} {REJECT}\ndrop\n}}\n" for rule in own if rule.action == "limited"
        )
        chains = "".join(
            f"chain {chain} {{\ntype filter hook {chain} priority 0;\n"
            + "".join(f"{rule.text()}\n" for rule in own if rule.chain == chain)
            + "}\n"
            for chain in ("input", "forward", "output")
        )
        return f"table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n{limited}{chains}}}\n"


def find_ends(inventory: Inventory) -> tuple[End, ...]:
    """Everybody with an agent, and the gateways' addresses outside; IPv4 only."""
    ends = []
    for cluster in inventory.clusters:
        for node in cluster.nodes:
            here = f"{cluster.name}/{node.name}"
            outer = tuple(text for text in node.outer_addresses if ":" not in text)
            for plane in Plane:
                own = tuple(text for text in node.addresses(plane) if ":" not in text)
                host = f"{here}/pod" if plane is Plane.POD else here
                seen_as = own if plane is Plane.POD else (*own, *outer)
                ends.append(End(f"{here}/{plane}", host, own[0], seen_as))
            ends += [End(f"{here}/outer", here, text, (text,)) for text in outer]
    return tuple(ends)


def generate(bare: Wall, *, count: int, seed: int) -> Wall:
    """*bare* with *count* rules of every kind, each of which decides at least one cell by itself."""
    chance = random.Random(seed)
    wall = bare
    kinds = ("drop", "drop", "reject", "limited", "one-way")
    while len(wall.rules) < count:
        number = len(wall.rules)
        rule = invent(wall, chance, f"r{number}", kinds[number % len(kinds)])
        grown = wall.plus(rule)
        if _all_needed(grown, rule):
            wall = grown
    return wall


def invent(wall: Wall, chance: random.Random, name: str, action: str) -> FirewallRule:
    """A rule somewhere on a way that is asked; it decides at least one cell that passes so far."""
    while True:
        source, target = chance.choice(_some_pairs(wall, chance))
        rule = _invent(wall, chance, name, action, source, target)
        if rule is not None and any(wall.decide(*cell) is None for cell in wall.touched(rule)):
            return rule


def _some_pairs(wall: Wall, chance: random.Random) -> list[tuple[End, End]]:
    """All pairs, but for one rule in four those over the routers outside."""
    pairs = list(wall.pairs())
    outer = [pair for pair in pairs if pair[1].is_outer]
    return outer if outer and chance.random() < 0.25 else pairs


def _invent(
    wall: Wall, chance: random.Random, name: str, action: str, source: End, target: End
) -> FirewallRule | None:
    host, chain = chance.choice(wall.places(source, target))
    if action != "drop" and chain == "output":
        return None
    sources = {source, *_crowd(chance, [one for one in wall.ends if not one.is_outer])}
    targets = {target, *_crowd(chance, [one for one in wall.ends if one.is_outer == target.is_outer])}
    if action == "one-way":
        if target.is_outer:  # the tunnels' own packets go there, too
            return None
        return FirewallRule(name, host, chain, action, frozenset(sources), frozenset(targets))
    first = chance.randrange(len(wall.ports))
    last = min(len(wall.ports) - 1, first + chance.randrange(len(wall.ports) // 2))
    ports = range(wall.ports[first], wall.ports[last] + 1)
    protocol = chance.choice(PROTOCOLS)
    return FirewallRule(name, host, chain, action, frozenset(sources), frozenset(targets), protocol, ports)


def _crowd(chance: random.Random, ends: Sequence[End]) -> list[End]:
    """No ends, a few, or all of one cluster."""
    draw = chance.random()
    if draw < 0.3:
        return []
    if draw < 0.6:
        return chance.sample(list(ends), k=min(5, len(ends)))
    cluster = chance.choice(sorted({one.cluster for one in ends}))
    return [one for one in ends if one.cluster == cluster]


def _all_needed(wall: Wall, newest: FirewallRule) -> bool:
    """Whether every rule that *newest* could stand before still decides a cell that would pass without it."""
    concerned = {rule for cell in wall.touched(newest) if (rule := wall.decide(*cell)) is not None}
    rivals = [rule for rule in wall.rules if rule is newest or _share(rule, newest)]
    return newest in concerned and all(is_needed(wall, rule) for rule in rivals)


def _share(one: FirewallRule, other: FirewallRule) -> bool:
    return bool(one.sources & other.sources) and bool(one.targets & other.targets)


def is_needed(wall: Wall, rule: FirewallRule) -> bool:
    """Whether a cell passes only without *rule*."""
    without = wall.without(rule)
    return any(wall.decide(*cell) is rule and without.decide(*cell) is None for cell in wall.touched(rule))


def hosts_of(rules: Iterable[FirewallRule]) -> tuple[str, ...]:
    """Every host that has one of *rules*."""
    return tuple(sorted({rule.host for rule in rules}))
