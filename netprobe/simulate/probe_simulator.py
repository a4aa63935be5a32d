"""Decides what becomes of one probe, part by part along the legs of its check: out, and then back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random  # noqa: TID253 - the caller passes the seed

from netprobe.analysis.diagnosis.traffic_rows import describe_crossing
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.model.component import Component, ComponentKind
from netprobe.model.names import AgentId, ClusterName, NodeId, Plane
from netprobe.model.outcome import OutcomeKind, Rejected
from netprobe.model.traffic import Attribute, opens_new_flows
from netprobe.simulate.effect_scope import is_lagged_away, is_too_new, leaves_by
from netprobe.simulate.effects import (
    DnsDown,
    Duplicate,
    Impostor,
    Lose,
    Masquerade,
    NoEndpoints,
    Reject,
    StaleProxy,
    ZoneMissing,
)
from netprobe.simulate.moment import Moment

HEALTHY_LOSS = 1e-5
"""Per part crossed: about 1e-4 per round trip."""
_SERVED = {ComponentKind.SERVICE_PROXY, ComponentKind.SERVICE, ComponentKind.DNS}


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """What became of one probe."""

    kind: OutcomeKind
    heard: bool = False
    seen_as: str = ""
    answered_by: str = ""
    detail: str = ""
    rejection: Rejected | None = None
    repeats: int = 0
    """Answers that came after the first one."""


REACHED = ProbeOutcome(OutcomeKind.REACHED)
_TIMED_OUT = ProbeOutcome(OutcomeKind.TIMED_OUT)


class ProbeSimulator:
    """Sends the probes of one plan; *random* decides, and *hash_seed* which way a router sends a flow.

    Routers' hash functions differ, so flows that share a way at one of them part at another.
    *choose_endpoint* says which agent behind a balanced service a check meets.
    """

    def __init__(
        self,
        index: PlanIndex,
        random: Random,
        *,
        hash_seed: int,
        starts: Mapping[AgentId, int],
        dns_node: Mapping[ClusterName, NodeId],
        choose_endpoint: Callable[[CheckFacts], AgentId],
    ) -> None:
        self._index = index
        self._random = random
        self._hash_seed = hash_seed
        self._starts = starts
        self._dns_node = dns_node
        self._choose_endpoint = choose_endpoint
        self._own_address = {
            (agent, is_v6): next((a for a in sorted(addresses) if (":" in a) is is_v6), "")
            for agent, addresses in index.addresses_of.items()
            for is_v6 in (False, True)
        }

    def is_awake(self, agent: AgentId, at_ns: int, moment: Moment) -> bool:
        """Whether an agent has started and neither died nor froze."""
        return self._starts[agent] <= at_ns and agent not in moment.asleep

    def send(self, check: CheckFacts, at_ns: int, moment: Moment) -> ProbeOutcome:
        """Send one probe of a check."""
        if is_lagged_away(check, moment) or is_too_new(check, moment):
            return _TIMED_OUT
        match check.aspect:
            case Aspect.SERVICE:
                return self._ask_service(check, at_ns, moment)
            case Aspect.DNS:
                return self._ask_dns(check, at_ns, moment)
            case _ if check.asked is not None:
                return self._ask_agent(check, check.asked, at_ns, moment)
            case _:
                passed = self._crosses(
                    check, self.way(check.legs.ways_out, check), 0, moment
                ) and self._crosses(check, self.way(check.legs.ways_back, check), 0, moment, is_answer=True)
                return REACHED if passed else _TIMED_OUT

    def way(self, ways: tuple[tuple[Component, ...], ...], check: CheckFacts) -> tuple[Component, ...]:
        """Routers hash addresses and ports: a flow keeps its way, and each connection is a new flow."""
        if len(ways) == 1:
            return ways[0]
        if opens_new_flows(check.check):
            return self._random.choice(ways)
        digest = hashlib.blake2b(f"{self._hash_seed} {check.check.id} {ways}".encode(), digest_size=8)
        return ways[int.from_bytes(digest.digest(), "big") % len(ways)]

    def _ask_agent(self, check: CheckFacts, asked: AgentId, at_ns: int, moment: Moment) -> ProbeOutcome:
        for effect in moment.all(Impostor):
            if (effect.cluster, effect.victim) == (check.source.cluster, asked):
                return self._meet_impostor(check, effect)
        kind, size = check.check.probe.kind, check.check.probe.size
        way = self.way(check.legs.ways_out, check)
        if not self._crosses(check, way, size, moment):
            return _TIMED_OUT
        rejects = [e for e in moment.all(Reject) if e.component in way]
        if rejects:
            rejection = Rejected(rejects[0].sender, *rejects[0].told)
            return ProbeOutcome(
                OutcomeKind.REJECTED, detail=f"rejected by {rejection.sender}", rejection=rejection
            )
        if check.aspect is not Aspect.ICMP and not self.is_awake(asked, at_ns, moment):
            frozen = asked in moment.frozen
            if not (frozen and kind == "tcp"):
                return self._come_back(
                    check, moment, _TIMED_OUT if frozen else ProbeOutcome(OutcomeKind.REFUSED)
                )
        fate = ProbeOutcome(
            OutcomeKind.REACHED,
            heard=kind == "udp",
            seen_as=self._seen_as(check, moment) if kind == "udp" else "",
            answered_by=str(asked),
            repeats=self._count_repeats(check, way, moment),
        )
        return self._come_back(check, moment, fate)

    def _count_repeats(self, check: CheckFacts, way: tuple[Component, ...], moment: Moment) -> int:
        """A kernel answers each copy of a ping; an agent answers a question once."""
        copying = {effect.component for effect in moment.all(Duplicate)}
        if not copying or check.aspect not in {Aspect.ICMP, Aspect.UDP}:
            return 0
        back = self.way(check.legs.ways_back, check) or way
        copies: int = 2 ** len(copying.intersection(back))
        if check.aspect is Aspect.ICMP:
            copies *= 2 ** len(copying.intersection(way))
        return copies - 1

    def _come_back(self, check: CheckFacts, moment: Moment, fate: ProbeOutcome) -> ProbeOutcome:
        way, size = self.way(check.legs.ways_back, check), check.check.probe.size
        if self._crosses(check, way, size, moment, is_answer=True):
            return fate
        return ProbeOutcome(OutcomeKind.TIMED_OUT, heard=fate.heard)

    def _meet_impostor(self, check: CheckFacts, effect: Impostor) -> ProbeOutcome:
        if check.check.probe.kind != "udp" or ":" in check.check.target.address:
            return REACHED
        return ProbeOutcome(OutcomeKind.WRONG_PEER, answered_by=str(effect.impostor))

    def _is_question_lost(self, check: CheckFacts, moment: Moment) -> bool:
        """Whether a service proxy, a service, a DNS server or one of its zones loses this question."""
        lost = (e for e in moment.losses if e.component in check.legs.forward)
        return any(one.component.kind in _SERVED and self._is_lost(check, one) for one in lost)

    @staticmethod
    def _reject_question(check: CheckFacts, moment: Moment) -> ProbeOutcome | None:
        """The answer of a proxy that has no endpoint for the question's service; None where it has some."""
        rejects = (e for e in moment.all(Reject) if e.component.kind in _SERVED)
        effect = next((e for e in rejects if e.component in check.legs.forward), None)
        if effect is None:
            return None
        return ProbeOutcome(OutcomeKind.REJECTED, rejection=Rejected(effect.sender, *effect.told))

    def _ask_service(self, check: CheckFacts, at_ns: int, moment: Moment) -> ProbeOutcome:
        if (rejected := self._reject_question(check, moment)) is not None:
            return rejected
        if self._is_question_lost(check, moment):
            return _TIMED_OUT
        if any(stale.node == check.source.node_id for stale in moment.all(StaleProxy)):
            return _TIMED_OUT
        for effect in moment.all(NoEndpoints):
            if check.check.target.name == f"{effect.cluster}/{effect.service}":
                return ProbeOutcome(OutcomeKind.REFUSED, detail="refused")
        endpoint = self._choose_endpoint(check)
        twin = self._twin(check.source, endpoint, "udp" if check.check.probe.kind == "udp" else "tcp")
        awake = self.is_awake(endpoint, at_ns, moment)
        if twin is not None:
            fate = self._ask_agent(twin, endpoint, at_ns, moment)
            if awake or fate.kind is not OutcomeKind.REACHED:
                return ProbeOutcome(fate.kind, rejection=fate.rejection)
        return REACHED if awake else _TIMED_OUT

    def _twin(self, source: AgentId, target: AgentId, kind: str) -> CheckFacts | None:
        pair = self._index.of_pair.get((source, target), ())
        return next((c for c in pair if c.check.probe.kind == kind and c.aspect is not Aspect.LARGE), None)

    def _ask_dns(self, check: CheckFacts, at_ns: int, moment: Moment) -> ProbeOutcome:
        cluster, name = check.source.cluster, check.check.probe.name
        if (rejected := self._reject_question(check, moment)) is not None:
            return rejected
        silence = ProbeOutcome(OutcomeKind.NOT_RESOLVED, detail=f"{name}: timeout")
        is_down = any(effect.cluster == cluster for effect in moment.all(DnsDown))
        if is_down or self._is_question_lost(check, moment):
            return silence
        for effect in moment.all(ZoneMissing):
            if effect.cluster == cluster and name.endswith(effect.zone):
                return ProbeOutcome(OutcomeKind.NOT_RESOLVED, detail=f"{name}: NXDOMAIN")
        node = self._dns_node.get(cluster)
        if node is None:
            return REACHED
        twin = self._twin(check.source, AgentId(node.cluster, node.node, Plane.POD), "icmp")
        if node in moment.down or (
            twin is not None
            and self._ask_agent(twin, check.source, at_ns, moment).kind is not OutcomeKind.REACHED
        ):
            return silence
        return REACHED

    def _crosses(
        self,
        check: CheckFacts,
        route: tuple[Component, ...],
        size: int,
        moment: Moment,
        *,
        is_answer: bool = False,
    ) -> bool:
        if self._random.random() < HEALTHY_LOSS * len(route):
            return False
        if any(part.is_at(node) for node in moment.down for part in route):
            return False
        if moment.lossy.isdisjoint(route):
            return True
        return not any(
            effect.component in route
            and size >= effect.min_size
            and self._meets(check, effect, is_answer=is_answer)
            and self._is_lost(check, effect)
            for effect in moment.losses
        )

    def _meets(self, check: CheckFacts, effect: Lose, *, is_answer: bool) -> bool:
        """Whether the packets of a check are those that a part loses."""
        if not effect.traffic:
            return True
        values = describe_crossing(check, self._index.gateways, is_answer=is_answer)
        known = dict(zip(Attribute, values, strict=True))
        return all((known[Attribute(one.attribute)] == one.value) == one.is_equal for one in effect.traffic)

    def _is_lost(self, check: CheckFacts, effect: Lose) -> bool:
        """Whether this packet is; a hash decides for a whole flow, and each connection is a new one."""
        if not effect.is_hash or opens_new_flows(check.check):
            return self._random.random() < effect.share
        text = f"{self._hash_seed} {check.check.id} {effect.component}"
        digest = hashlib.blake2b(text.encode(), digest_size=8)
        return int.from_bytes(digest.digest(), "big") < effect.share * 2**64

    def _seen_as(self, check: CheckFacts, moment: Moment) -> str:
        if check.source.plane is Plane.POD:
            for effect in moment.all(Masquerade):
                if leaves_by(check, effect.gateway):
                    return effect.seen_as
        return self._own_address[check.source, ":" in check.check.target.address]
