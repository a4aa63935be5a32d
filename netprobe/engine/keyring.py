"""The keys of one agent: those it asks with, and those it answers with.

Rules:

- a target's key is used only for that target; our own keys prove only requests of askers that the plan names;
- what needs no other side's key (an ICMP cookie, a packet to a target without an agent) is sealed with a
  secret of this process;
- the key of a whole fleet is used only where a plan has one: that of a previous build, or for its agents.
"""

from __future__ import annotations

import secrets

from netprobe.errors import RemoteFormatError
from netprobe.model.check import Check, Plan, Target, TargetKind
from netprobe.model.names import AgentId, Plane
from netprobe.wire import stamp
from netprobe.wire.hold_request import decode_hold, read_asker
from netprobe.wire.pair_keys import KEY_BYTES, derive_asker_key
from netprobe.wire.stamp import Seal, StrangerError, short_name

_NEEDS_KEY = frozenset({"udp", "idle", "pmtu"})
"""Kinds that learn nothing from an agent that does not believe them."""
_NOBODY: dict[bytes, tuple[bytes, ...] | None] = {}


class Keyring:
    """The keys of the plan in use; without a plan no packet is accepted."""

    def __init__(self, agent: AgentId) -> None:
        self.name = short_name(str(agent))
        self.own = secrets.token_bytes(KEY_BYTES)
        """A secret of this process."""
        self.nonce = 1 + secrets.randbelow(0xFFFFFFFF)
        """What requests must repeat to be counted: no request from before our start does."""
        self.nonces: dict[str, int] = {}
        """Of the responders that we asked, by the name of the target."""
        self._plan: Plan | None = None
        self._targets: dict[str, bytes] = {}
        self._responder_keys: tuple[bytes, ...] = ()
        self._peers = _NOBODY
        """Askers by name; their keys are derived when they ask first."""
        self._addresses: dict[bytes, tuple[str, ...]] | None = None
        """Of the askers; read from the plan when a request goes astray, which is seldom."""
        self._fleet: tuple[bytes, ...] = ()
        """The fleet's key, and the one before while a new plan spreads."""
        self._names_at: dict[str, str] | None = None

    def use(self, plan: Plan) -> None:
        """Use the keys of *plan*, and only those."""
        before = self._fleet[:1] if plan.cookie_key or plan.own_keys else ()
        self._fleet = tuple(dict.fromkeys(key for key in (plan.cookie_key, *before) if key))
        self._targets = dict(plan.target_keys)
        # the newest of every name first: nearly all requests need one of those
        epochs = max((len(keys) for _, keys in plan.own_keys), default=0)
        self._responder_keys = tuple(
            keys[epoch] for epoch in range(epochs) for _, keys in plan.own_keys if epoch < len(keys)
        )
        self._peers = dict.fromkeys(short_name(str(agent)) for agent, _ in plan.peers)
        self._plan, self._names_at, self._addresses = plan, None, None

    @property
    def is_empty(self) -> bool:
        """Whether neither requests nor answers can be proven."""
        return not (self._fleet or self._responder_keys or self._targets)

    def seal_for(self, check: Check) -> Seal:
        """What requests of *check* are sealed with."""
        name = key_name_of(check.target)
        if name is None:
            return self.seal_at(check.target.address)
        # not by its address, which agents of several clusters may have
        return self._find(name) or self._seal_without_name()

    def seal_at(self, address: str) -> Seal:
        """What requests to *address* are sealed with: the key of the agent that the plan knows there."""
        if self._names_at is None:
            self._names_at = _names_at(self._plan)
        return self._find(self._names_at.get(address)) or self._seal_without_name()

    def has_seal_at(self, address: str) -> bool:
        """Whether an agent at *address* would believe us; not if the plan knows several agents there."""
        return self.seal_at(address).key != self.own

    def why_not(self, check: Check) -> str:
        """Why *check* would tell nothing: its target believes no packet of ours; empty where it may."""
        is_answered = check.probe.kind not in _NEEDS_KEY or check.target.kind is not TargetKind.AGENT
        if is_answered or self.seal_for(check).key != self.own:
            return ""
        return f"the plan holds no key for {check.target.name}, which would not answer"

    def find_target_key(self, name: bytes) -> bytes | None:
        """The key of the target *name*, as a packet holds it; for the rare answer of another agent."""
        return next((key for target, key in self._targets.items() if short_name(target) == name), None)

    def prove_request(self, data: bytes, *, size: int) -> tuple[stamp.Request, bytes] | None:
        """A request of an asker that we may answer, and its key; None for any other packet."""
        asker = stamp.peek_asker(data)
        if asker is None:
            return None
        for key in self._keys_of(asker):
            try:
                return stamp.decode_request(data, key=key, size=size), key
            except StrangerError:
                continue
            except RemoteFormatError:
                return None
        return None

    def find_astray(self, data: bytes, *, source: str) -> bytes | None:
        """The key for the asker of a request that another agent should have; None unless *source* is its."""
        asker = stamp.peek_asker(data)
        if not asker or self._plan is None or asker not in self._peers:
            return None
        if self._addresses is None:
            self._addresses = {short_name(str(agent)): addresses for agent, addresses in self._plan.peers}
        if source not in self._addresses[asker]:
            return None
        keys = self._keys_of(asker)
        return keys[0] if keys else None

    def find_hold(self, target: bytes, head: bytes) -> int | None:
        """The seconds for which a request may keep its connection; None for any other request."""
        asker = read_asker(head)
        asked = (decode_hold(target, key=key) for key in self._keys_of(asker))
        return next((seconds for seconds in asked if seconds is not None), None)

    def _seal_without_name(self) -> Seal:
        return Seal(self._fleet[0]) if self._fleet else Seal(self.own)

    def _find(self, name: str | None) -> Seal | None:
        key = self._targets.get(name) if name else None
        return Seal(key, self.name) if key else None

    def _keys_of(self, asker: bytes) -> tuple[bytes, ...]:
        """Keys that may prove a packet of *asker*; that of the fleet where it says no name."""
        if not asker:
            return self._fleet
        if asker not in self._peers:
            return ()
        keys = self._peers[asker]
        if keys is None:
            keys = self._peers[asker] = tuple(derive_asker_key(key, asker) for key in self._responder_keys)
        return keys


def key_name_of(target: Target) -> str | None:
    """The name whose key proves that *target* answered; None where no agent should.

    At a node's address its host-plane agent answers, behind a service any that holds the service's key.
    """
    match target.kind:
        case TargetKind.AGENT:
            return target.name
        case TargetKind.SERVICE | TargetKind.ENDPOINT:
            return f"{target.cluster}/{target.service_name}"
        case TargetKind.NODE | TargetKind.GATEWAY_OUTER if target.node is not None:
            return str(AgentId(target.node.cluster, target.node.node, Plane.HOST))
        case _:
            return None


def _names_at(plan: Plan | None) -> dict[str, str]:
    if plan is None:
        return {}
    known = [(address, str(agent)) for agent, addresses in plan.peers for address in addresses]
    known += [
        (check.target.address, check.target.name)
        for check in plan.checks
        if check.target.kind is TargetKind.AGENT
    ]
    named: dict[str, str] = {}
    for address, name in known:
        named[address] = name if named.get(address, name) == name else ""
    return named
