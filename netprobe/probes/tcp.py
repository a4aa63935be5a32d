"""``tcp``: connect, carry data where that is asked, and close.

Reads ``Probe.port``, ``Probe.timeout_ns``, the option ``data`` and, of :mod:`netprobe.probes.packet_options`,
``dscp``, ``ttl`` and ``source-port``. A handshake proves three small packets; what carries data may still be
dropped. ``data`` says what must pass after it:

- ``no`` (the default): nothing;
- ``ack``: an empty line, which the target's TCP has to acknowledge, whatever listens there;
- ``answer``: a request for an HTTP page, to which the first bytes of any answer have to come back. Agents are
  asked so by ``netprobe check``.
"""

from __future__ import annotations

from netprobe.model.check import Check, Probe, TargetKind
from netprobe.model.outcome import AppFailed, Reached
from netprobe.model.prose import Prose
from netprobe.model.units import SECOND_NS
from netprobe.probes.connection_phases import Phases
from netprobe.probes.kind import ProbeKind, StreamDriver, VectorColumn
from netprobe.probes.net import Closed, Net, Stream
from netprobe.probes.observation import Observation
from netprobe.probes.packet_options import DSCP, SOURCE_PORT, TTL, packet_options_of
from netprobe.probes.parameters import check_choice, check_port, refuse_size

_EMPTY_LINE = b"\r\n"
"""A server of HTTP has to ignore it (RFC 9112, section 2.2)."""
_PAGE = b"GET / HTTP/1.1\r\nHost: netprobe\r\nConnection: close\r\n\r\n"


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    check_port(probe, least=1)
    refuse_size(probe)
    check_choice(probe, "data", "no", "ack", "answer")
    packet_options_of(probe)


async def ask(check: Check, net: Net) -> Observation:
    """Reached when the handshake completes and, with *data*, when data passed, too."""
    began_ns = net.now_ns()
    stream = await net.connect(check, port=check.probe.port)
    if isinstance(stream, Observation):
        return stream
    rtt_ns = net.now_ns() - began_ns
    phases: Phases = (("connect", rtt_ns),)
    data = check.probe.option("data", "no")
    try:
        failed = await _carry(stream, data) if data != "no" else None
    finally:
        stream.close()
    if failed is not None:
        return failed._replace(phases_ns=phases)
    if data != "no":
        phases = (*phases, ("data", net.now_ns() - began_ns - rtt_ns))
    return Observation(Reached(rtt_ns), phases_ns=phases)


async def _carry(stream: Stream, data: str) -> Observation | None:
    """Send data over a connection; why it did not pass, or None."""
    told = await stream.send(_PAGE if data == "answer" else _EMPTY_LINE)
    told = told or await stream.wait_acknowledged()
    if told is None and data == "answer":
        heard = await stream.receive()
        told = None if isinstance(heard, bytes) else heard
    if isinstance(told, Closed):
        how = "reset" if told.reset else "closed"
        return Observation(AppFailed(Prose(f"connected; the connection was {how} when data was sent")))
    return told


KIND = ProbeKind(
    name="tcp",
    driver=StreamDriver(ask),
    validate=validate,
    options=("data", DSCP, TTL, SOURCE_PORT),
    longest_timeout_ns=90 * SECOND_NS,  # a connection is tried for a minute and more (RFC 6298)
    asks_agent_port=True,
    options_at_agents=(("data", "answer"),),
    default_for=(TargetKind.ENDPOINT,),
    host_tools=("curl", "nc"),
    column=VectorColumn.TCP,
)
