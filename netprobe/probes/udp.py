"""``udp``: a STAMP echo (RFC 8762, RFC 8972) to an agent; it tells loss out from loss back.

Reads ``Probe.port``, ``Probe.size`` (whole IP packet, sent with DF; the answer has
the same size; 0 for the smallest), ``Probe.timeout_ns`` and the option ``flow``. With 1–64 each number has a
source port of its own, so routers that spread flows over equal paths may choose another path for it. With
``new`` each probe has a fresh source port: connection tables on the way have not seen its flow before. A
build that does not know the word refuses the check, so nothing is measured instead of something else.
``dscp``, ``ttl``, ``fragments`` and ``source-port`` are those of :mod:`netprobe.probes.packet_options`.

Rule: no socket, no clock, no randomness in here.
"""

from __future__ import annotations

from netprobe.errors import InputError
from netprobe.model.check import Check, Probe, TargetKind
from netprobe.model.outcome import Reached, TimedOut, WrongPeer
from netprobe.probes.kind import EchoDriver, ProbeKind, VectorColumn
from netprobe.probes.observation import Observation, judge_identity
from netprobe.probes.packet_options import KEYS, packet_options_of, sized
from netprobe.wire import icmp, stamp

MAX_FLOW = 64
"""UdpPinger's number of ports (Facebook, NANOG 2016)."""

NEW_FLOW = "new"
"""The value of the option ``flow`` that gives each probe a fresh source port."""

_UDP_HEADER_BYTES = 8
_make = tuple.__new__
"""A named tuple without its own ``__new__``, which takes several times as long."""


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    smallest = icmp.IPV6_HEADER_BYTES + _UDP_HEADER_BYTES + stamp.MIN_PADDED_BYTES
    largest = stamp.MAX_BYTES
    if probe.size and not smallest <= probe.size <= largest:
        raise InputError(f"size {probe.size} is not 0 or within {smallest}–{largest}", where="size")
    if not 1 <= probe.port <= 65535:
        raise InputError(f"port {probe.port} is not within 1–65535", where="port")
    options = packet_options_of(probe)
    if flow_of(probe) and options.source_ports:
        raise InputError("a flow has a source port of its own", where="options.source-port")


def opens_new_flows(probe: Probe) -> bool:
    """Whether each of its probes is the first packet of a flow."""
    return probe.option("flow") == NEW_FLOW


def flow_of(probe: Probe) -> int | None:
    """The flow's number; 0 for the one that all checks share which name none; None where each is new."""
    told = probe.option("flow", "0")
    if told == NEW_FLOW:
        return None
    if not (told.isascii() and told.isdigit()) or int(told) > MAX_FLOW:
        raise InputError(f"{told!r} is neither 1–{MAX_FLOW} nor {NEW_FLOW!r}", where="options.flow")
    return int(told)


def payload_bytes(probe: Probe, *, version: int) -> int:
    """The UDP payload that makes a packet of the size asked for."""
    size = sized(probe)
    if not size:
        return stamp.MIN_BYTES
    header = icmp.IPV4_HEADER_BYTES if version == 4 else icmp.IPV6_HEADER_BYTES
    return size - header - _UDP_HEADER_BYTES


def judge(answer: stamp.StampAnswer, check: Check, *, elapsed_ns: int) -> Observation:
    """What an answer says; *elapsed_ns* is the time from request to answer on our own clock.

    The round trip is (T4 − T1) − (T3 − T2): the time the responder held the packet is its own trouble, not
    the network's. An answer whose network time passed the deadline is as good as none.
    """
    count: int | None = answer[7]
    if answer.nonce or answer.is_astray:  # not counted among the others
        count = None
    observed_source, told_by = answer[9], answer[13]
    rtt_ns = max(1, elapsed_ns - answer.dwell_ns)
    if rtt_ns > check.probe.timeout_ns:
        return Observation(TimedOut(check.probe.timeout_ns), received_count=count)
    outcome = judge_identity(check, told_by, rtt_ns=rtt_ns)
    return _make(Observation, (outcome, told_by, observed_source, count, False, (), "", (), ()))


def judge_elsewhere(seen: Observation, check: Check, *, source: str) -> Observation:
    """What an answer means that came from *source*, which was not asked.

    A program would not take it for an answer either, so the target is not reached; but an agent that holds
    the target's key had our request, so it is not merely lost.
    """
    if not isinstance(seen.outcome, (Reached, WrongPeer)):
        return seen
    found = WrongPeer(check.target.name, f"{seen.answered_by} at {source}", seen.outcome.rtt_ns)
    return seen._replace(outcome=found, answered_by=found.answered_by, received_count=None)


KIND = ProbeKind(
    name="udp",
    driver=EchoDriver(),
    validate=validate,
    options=("flow", *KEYS),
    asks_agent_port=True,
    default_for=(TargetKind.AGENT,),
    column=VectorColumn.UDP,
)
