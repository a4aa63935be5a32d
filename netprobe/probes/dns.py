"""``dns``: ask one server for one name (RFC 1035); the target's address is the server.

Reads ``Probe.name``, ``Probe.port`` (0 means 53), ``Probe.timeout_ns`` and the options ``type`` (A, AAAA or
SRV; default A) and ``transport`` (``udp`` or ``tcp``). Only the message codec of dnspython is used.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from netprobe.model.check import Check, Probe, TargetKind
from netprobe.model.outcome import AppFailed, NotResolved, Reached
from netprobe.model.prose import Prose
from netprobe.probes.kind import ProbeKind, StreamDriver, VectorColumn
from netprobe.probes.net import Closed, Net
from netprobe.probes.observation import Observation, make_facts
from netprobe.probes.parameters import check_choice, check_dns_name, check_port, refuse_size

if TYPE_CHECKING:
    import dns.message


DEFAULT_PORT = 53
MAX_RECORDS = 10
"""How many are shown."""
TYPES = ("A", "AAAA", "SRV")


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    check_port(probe)
    check_dns_name(probe.name)
    check_choice(probe, "type", *TYPES)
    check_choice(probe, "transport", "udp", "tcp")
    refuse_size(probe)


async def ask(check: Check, net: Net) -> Observation:
    """Reached when the server brings at least one record of the type asked for."""
    probe = check.probe
    began_ns = net.now_ns()
    found = await look_up(check, net, name=probe.name, kind=probe.option("type", "A"))
    if isinstance(found, Observation):
        return found
    facts = make_facts((("records", ", ".join(found[:MAX_RECORDS])), ("server", _describe_server(check))))
    return Observation(Reached(max(1, net.now_ns() - began_ns)), facts=facts)


async def look_up(check: Check, net: Net, *, name: str, kind: str) -> tuple[str, ...] | Observation:
    """The records that the check's target has of *name*, sorted; never none."""
    import dns.message  # noqa: PLC0415 - an agent without dns checks stays lighter

    query = dns.message.make_query(name, kind)
    if check.probe.option("transport", "udp") == "tcp" and check.probe.kind == "dns":
        reply = await _ask_tcp(check, net, query)
    else:
        port = check.probe.port if check.probe.kind == "dns" else 0
        reply = await net.exchange(
            check,
            port=port or DEFAULT_PORT,
            request=query.to_wire(),
            accept=lambda data: _read(data, query),
        )
    return reply if isinstance(reply, Observation) else _records(reply, name, kind)


def _records(reply: dns.message.Message, name: str, kind: str) -> tuple[str, ...] | Observation:
    import dns.rcode  # noqa: PLC0415
    import dns.rdatatype  # noqa: PLC0415

    rcode = reply.rcode()
    if rcode != dns.rcode.NOERROR:
        return Observation(NotResolved(name, dns.rcode.to_text(rcode)))
    wanted = dns.rdatatype.from_text(kind)
    records = [record.to_text() for rrset in reply.answer if rrset.rdtype == wanted for record in rrset]
    return tuple(sorted(records)) if records else Observation(NotResolved(name, "NODATA"))


def _describe_server(check: Check) -> str:
    """The server that answered: a connected socket receives from no other address."""
    port = check.probe.port or DEFAULT_PORT
    return f"{check.target.address} port {port}, over {check.probe.option('transport', 'udp').upper()}"


def _read(data: bytes, query: dns.message.Message) -> dns.message.Message | None:
    """The reply to *query*, or None where *data* is something else."""
    import dns.exception  # noqa: PLC0415
    import dns.message  # noqa: PLC0415

    try:
        reply = dns.message.from_wire(data, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError, struct.error, IndexError):
        return None
    return reply if query.is_response(reply) else None


async def _ask_tcp(check: Check, net: Net, query: dns.message.Message) -> dns.message.Message | Observation:
    """RFC 7766: each message is preceded by its length."""
    stream = await net.connect(check, port=check.probe.port or DEFAULT_PORT)
    if isinstance(stream, Observation):
        return stream
    try:
        wire = query.to_wire()
        await stream.send(struct.pack("!H", len(wire)) + wire)
        buffer = b""
        while len(buffer) < 2 or len(buffer) < 2 + int.from_bytes(buffer[:2], "big"):
            data = await stream.receive()
            if isinstance(data, Observation):
                return data
            if isinstance(data, Closed):
                return Observation(AppFailed(Prose("the DNS server closed the connection")))
            buffer += data
    finally:
        stream.close()
    reply = _read(buffer[2:], query)
    return reply if reply is not None else Observation(AppFailed(Prose("the DNS server's reply is garbled")))


KIND = ProbeKind(
    name="dns",
    driver=StreamDriver(ask),
    validate=validate,
    options=("type", "transport"),
    asks_service_name=True,
    default_for=(TargetKind.DNS,),
    column=VectorColumn.DNS,
)
