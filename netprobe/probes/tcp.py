"""``tcp``: connect and close. Reads ``Probe.port`` and ``Probe.timeout_ns``."""

from __future__ import annotations

from netprobe.errors import InputError
from netprobe.model.check import Check, Probe
from netprobe.model.outcome import Reached
from netprobe.probes.net import Net
from netprobe.probes.seen import Seen


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    if not 1 <= probe.port <= 65535:
        raise InputError(f"port {probe.port} is not within 1–65535", where="port")
    if probe.size:
        raise InputError(f"size {probe.size}: tcp chooses its own packet sizes", where="size")


async def ask(check: Check, net: Net) -> Seen:
    """Reached when the handshake completes."""
    began_ns = net.now_ns()
    stream = await net.connect(check, port=check.probe.port)
    if isinstance(stream, Seen):
        return stream
    rtt_ns = net.now_ns() - began_ns
    stream.close()
    return Seen(Reached(rtt_ns), phases_ns=(("connect", rtt_ns),))
