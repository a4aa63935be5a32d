"""What the flows of a trace met at each hop, and how that is formatted.

A hop that says nothing is a node of its own. A hop that answers some packets while later hops answer limits
its ICMP: it is not lossy. A hop whose quote of our packet differs from what we sent is behind a
translator (NAT), and so is one that answers with the target's address.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.model.outcome import Outcome, Reached, Refused, Rejected, WrongPeer
from netprobe.probes.mda import count_flows_needed


@dataclass(frozen=True, slots=True)
class Expired:
    """A router said that the TTL ran out there (ICMP 11/0, ICMPv6 3/0)."""

    flow: int
    ttl: int
    sender: str
    at_ns: int
    rewritten: tuple[str, ...] = ()
    """What a translator changed before that router, as its quote shows it (``wire.paris``)."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The packet got as far as it can: answered, refused or rejected."""

    flow: int
    ttl: int
    outcome: Outcome
    at_ns: int
    answered_by: str = ""
    observed_source: str = ""
    rewritten: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hop:
    """What the flows met at one TTL."""

    ttl: int
    senders: tuple[tuple[int, str], ...]
    """Flow and who answered it; a flow that met silence is absent."""
    asked: int
    """Flows that were asked here."""
    sent: int
    """Packets they cost."""
    rtt_ns: int | None = None
    """The shortest."""
    ends: tuple[tuple[int, Ended], ...] = ()
    rewritten: tuple[str, ...] = ()
    """What a translator before this hop changed, as far as it shows; sorted."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The routers that answered here, sorted."""
        return tuple(sorted({sender for _, sender in self.senders}))

    @property
    def is_silent(self) -> bool:
        """Whether nothing was heard from here."""
        return not self.senders and not self.ends

    def sender_of(self, flow: int) -> str:
        """Who answered *flow*, or the one router that answered all others; ``*`` where that is not known."""
        alone = self.addresses[0] if len(self.addresses) == 1 else "*"
        return next((sender for one, sender in self.senders if one == flow), alone)

    @property
    def width(self) -> int:
        """How many next hops were seen; the target counts as one, and so does silence."""
        return max(1, len(self.addresses) + bool(self.ends))

    @property
    def flows_needed(self) -> int:
        """How many flows the stopping rule wants before there are no more next hops than were seen."""
        return count_flows_needed(self.width)


@dataclass(frozen=True, slots=True)
class UnprovenWidth:
    """A hop that may have more next hops than were seen: too few flows were sent for the stopping rule."""

    ttl: int
    next_hops: int
    """Seen."""
    flows: int
    """Sent."""
    flows_needed: int

    def __str__(self) -> str:
        return (
            f"hop {self.ttl} may have more next hops than the {self.next_hops} seen: "
            f"{self.flows} flows were sent, {self.flows_needed} would rule it out"
        )


def find_unproven(hops: tuple[Hop, ...]) -> tuple[UnprovenWidth, ...]:
    """The hops whose next hops may not all have been seen."""
    return tuple(
        UnprovenWidth(hop.ttl, hop.width, hop.asked, hop.flows_needed)
        for hop in hops
        if not hop.is_silent and hop.asked < hop.flows_needed
    )


def format_last_answer(hops: tuple[Hop, ...]) -> str:
    """Behind which hop it was silent."""
    last = next((hop for hop in reversed(hops) if hop.senders), None)
    if last is None:
        return "silence from the first hop on"
    return f"silence behind hop {last.ttl} ({', '.join(last.addresses)})"


def find_ways(hops: tuple[Hop, ...]) -> tuple[tuple[str, ...], ...]:
    """The different ways that flows took, each hop's address or ``*``.

    A flow that met silence where others were answered may have gone their way, so it makes no way of its own.
    Where one router answered all others, it went through that one.
    """
    flows = sorted({flow for hop in hops for flow, _ in (*hop.senders, *hop.ends)})
    ways: dict[tuple[str, ...], None] = {}
    for flow in flows:
        way = tuple(hop.sender_of(flow) for hop in hops if not hop.ends)
        ways[way] = None
    whole = [way for way in ways if "*" not in _partial(way, hops)]
    return tuple(whole or ways)


def _partial(way: tuple[str, ...], hops: tuple[Hop, ...]) -> tuple[str, ...]:
    """The part of a path where another address was answered."""
    return tuple(at for at, hop in zip(way, hops, strict=False) if hop.senders)


def format_hops(hops: tuple[Hop, ...], *, loop_from: int = 0) -> Iterator[tuple[str, str]]:
    """Every hop as a line of facts, then the ways, unproven hops and the translator, where there are any.

    From the hop *loop_from* on (0: none) the same hops would only be repeated, so they are left out.
    """
    spoken = max((hop.ttl for hop in hops if not hop.is_silent), default=0)
    for hop in hops:
        if hop.ttl == loop_from:
            yield "then", f"the same hops in turn, up to hop {hops[-1].ttl}"
            yield from _tell_unproven(hops)
            return
        if hop.ttl > spoken:
            yield "then", "silence"
            yield from _tell_unproven(hops)
            return
        yield f"hop {hop.ttl}", _describe(hop, later=hop.ttl < spoken)
    ways = find_ways(hops)
    if len(ways) > 1:
        yield "ways", f"{len(ways)} ways for different flows"
    yield from _tell_unproven(hops)
    translator = find_translator(hops)
    if translator:
        yield "nat", translator


def _tell_unproven(hops: tuple[Hop, ...]) -> Iterator[tuple[str, str]]:
    unproven = find_unproven(hops)
    if unproven:
        yield "unproven", "; ".join(map(str, unproven))


def find_translator(hops: tuple[Hop, ...]) -> str:
    """Between which hops addresses are rewritten, as far as it shows; empty where nothing shows."""
    first = next((hop for hop in hops if hop.rewritten), None)
    if first is None:
        return ""
    before = next((hop for hop in reversed(hops[: first.ttl - 1]) if hop.senders), None)
    near = f"hop {before.ttl} ({', '.join(before.addresses)})" if before else "this host"
    far = "the target" if first.ends else f"hop {first.ttl} ({', '.join(first.addresses)})"
    return f"addresses are rewritten between {near} and {far}, or by one of the two"


def _describe(hop: Hop, *, later: bool) -> str:
    if hop.is_silent:
        return "* (says nothing)"
    parts = [", ".join(hop.addresses)] if hop.senders else []
    parts += sorted({_describe_end(ended) for _, ended in hop.ends})
    text = " and ".join(parts)
    if hop.rtt_ns is not None:
        text += f", {hop.rtt_ns / 1e6:.2f} ms"
    if hop.rewritten:
        text += f"; behind NAT ({', '.join(hop.rewritten)})"
    answered = len(hop.senders) + len(hop.ends)
    if answered < hop.asked and later:
        text += f"; told {answered} of {hop.asked} flows: it limits its ICMP, packets pass"
    return text


def _describe_end(ended: Ended) -> str:
    match ended.outcome:
        case Reached():
            return f"target answers{f' as {ended.answered_by}' if ended.answered_by else ''}"
        case Refused():
            return "target refuses the port: no process listens"
        case WrongPeer(_, answered_by):
            return f"the wrong peer answers: {answered_by}"
        case Rejected(sender, icmp_type, icmp_code):
            return f"{sender} rejects ({icmp_type}/{icmp_code})"
        case _:
            return str(ended.outcome.kind)
