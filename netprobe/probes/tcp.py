"""``tcp``: connect and close. Reads ``Probe.port`` and ``Probe.timeout_ns``."""

from __future__ import annotations

from netprobe.model.check import Check, Probe, TargetKind
from netprobe.model.outcome import Reached
from netprobe.model.units import SECOND_NS
from netprobe.probes.kind import ProbeKind, StreamDriver, VectorColumn
from netprobe.probes.net import Net
from netprobe.probes.observation import Observation
from netprobe.probes.parameters import check_port, refuse_size


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    check_port(probe, least=1)
    refuse_size(probe)


async def ask(check: Check, net: Net) -> Observation:
    """Reached when the handshake completes."""
    began_ns = net.now_ns()
    stream = await net.connect(check, port=check.probe.port)
    if isinstance(stream, Observation):
        return stream
    rtt_ns = net.now_ns() - began_ns
    stream.close()
    return Observation(Reached(rtt_ns), phases_ns=(("connect", rtt_ns),))


KIND = ProbeKind(
    name="tcp",
    driver=StreamDriver(ask),
    validate=validate,
    longest_timeout_ns=90 * SECOND_NS,  # a connection is tried for a minute and more (RFC 6298)
    asks_agent_port=True,
    default_for=(TargetKind.ENDPOINT,),
    host_tools=("curl", "nc"),
    column=VectorColumn.TCP,
)
