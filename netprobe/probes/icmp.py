"""``icmp``: an echo request to the target (RFC 792, RFC 4443).

Reads ``Probe.size`` (whole IP packet, sent with DF; 0 for the smallest) and ``Probe.timeout_ns``. An echo
has no identity: the owner of the address answers. ``dscp``, ``ttl`` and ``fragments`` are those of
:mod:`netprobe.probes.packet_options`.

Rule: no socket, no clock, no randomness in here.
"""

from __future__ import annotations

from netprobe.errors import InputError
from netprobe.model.check import Probe, TargetKind
from netprobe.probes.kind import EchoDriver, ProbeKind, VectorColumn, never
from netprobe.probes.packet_options import DSCP, FRAGMENTS, TTL, packet_options_of, sized
from netprobe.wire import icmp

MAX_PACKET_BYTES = 65_000


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    smallest = icmp.min_packet_bytes(6)
    if probe.size and not smallest <= probe.size <= MAX_PACKET_BYTES:
        raise InputError(f"size {probe.size} is not 0 or within {smallest}–{MAX_PACKET_BYTES}", where="size")
    if probe.port:
        raise InputError(f"port {probe.port}: icmp has no ports", where="port")
    packet_options_of(probe)


def build(probe: Probe, cookie: icmp.Cookie, *, key: bytes, version: int, identifier: int) -> bytes:
    """The message to send, from the ICMP header on."""
    plain = icmp.encode_cookie(cookie, key=key)
    data = icmp.pad_echo_data(plain, version=version, packet_bytes=sized(probe))
    return icmp.encode_echo_request(
        version=version, identifier=identifier, sequence=cookie.sequence, data=data
    )


KIND = ProbeKind(
    name="icmp",
    driver=EchoDriver(),
    validate=validate,
    options=(DSCP, TTL, FRAGMENTS),
    has_port=never,
    default_for=(TargetKind.NODE, TargetKind.GATEWAY_OUTER, TargetKind.OUTSIDE),
    host_tools=("ping",),
    column=VectorColumn.ICMP,
)
