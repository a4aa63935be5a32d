"""``grpc``: the health check that gRPC servers offer (grpc.health.v1, method Check), over HTTP/2.

Reads ``Probe.port`` (0 means 50051), ``Probe.name`` (the authority asked for; empty for the address),
``Probe.timeout_ns`` and the options ``service`` (default empty: the server as a whole), ``tls`` (``yes``:
inside TLS) and ``resolve`` (as for ``http``). Reached when the server says ``SERVING``. Any other answer
is reported apart: ``NOT_SERVING``, ``UNKNOWN``, a service that the server does not know (status 5,
NOT_FOUND), a server without health checks (status 12, UNIMPLEMENTED), any other status with its name, and
a peer that speaks no gRPC at all.

The messages are two fields (github.com/grpc/grpc, doc/health-checking.md), so no protobuf library is
needed; framing is doc/PROTOCOL-HTTP2.md. HTTP/2 itself belongs to h2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from netprobe.errors import InputError, RemoteFormatError
from netprobe.model.check import Check, Probe
from netprobe.model.outcome import AppFailed, Outcome, Reached
from netprobe.model.prose import Prose
from netprobe.probes.connection_phases import (
    OpenedConnection,
    dial,
    validate_dial_options,
    wants_tls,
)
from netprobe.probes.kind import ProbeKind, StreamDriver
from netprobe.probes.net import Closed, Net
from netprobe.probes.observation import Observation
from netprobe.probes.parameters import check_port, refuse_size
from netprobe.probes.tls import judge_certificate_too

if TYPE_CHECKING:
    from h2.connection import H2Connection
    from h2.events import Event


DEFAULT_PORT = 50_051
MAX_SERVICE_BYTES = 200
MAX_REPLY_BYTES = 4_096
_PATH = "/grpc.health.v1.Health/Check"
_ALPN = "h2"
_SERVING = 1
HEALTH = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
"""``HealthCheckResponse.ServingStatus`` by number."""
STATUS = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE"),
    *("UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
"""gRPC status codes by number (doc/statuscodes.md)."""
_NOT_FOUND, _UNIMPLEMENTED = 5, 12


@dataclass(slots=True)
class Reply:
    """What came back on our stream, so far."""

    http_status: str = ""
    content_type: str = ""
    status: str = ""
    """``grpc-status``."""
    message: str = ""
    """``grpc-message``, percent-decoded."""
    body: bytearray = field(default_factory=bytearray)
    trouble: str = ""
    """Why the stream ended early; empty where it did not."""
    is_complete: bool = False


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    check_port(probe)
    refuse_size(probe)
    validate_dial_options(probe)
    if not probe.name.isascii() or not probe.name.isprintable() or " " in probe.name:
        raise InputError(f"{probe.name!r} cannot be an authority", where="name")
    service = probe.option("service")
    if not service.isprintable() or len(service.encode()) > MAX_SERVICE_BYTES:
        raise InputError(f"{service!r} cannot be a service's name", where="options.service")


async def ask(check: Check, net: Net) -> Observation:
    """Reached when the service asked for is serving."""
    port, tls = check.probe.port or DEFAULT_PORT, wants_tls(check.probe)
    dialled = await dial(check, net, port=port, tls=tls, protocols=(_ALPN,))
    if isinstance(dialled, Observation):
        return dialled
    try:
        reply = await _converse(check, dialled)
    finally:
        dialled.stream.close()
    if isinstance(reply, Observation):
        return reply._replace(phases_ns=dialled.phases_ns, facts=dialled.facts)
    now_ns = net.now_ns()
    outcome, health = judge(reply, check.probe.option("service"), rtt_ns=now_ns - dialled.began_ns)
    phases = (*dialled.phases_ns, ("answer", now_ns - dialled.ready_ns))
    facts = (*dialled.facts, *((("health", Prose(health)),) if health else ()))
    return judge_certificate_too(
        Observation(outcome, phases_ns=phases, facts=facts), dialled, check.probe.name, net
    )


async def _converse(check: Check, dialled: OpenedConnection) -> Reply | Observation:
    from h2.config import H2Configuration  # noqa: PLC0415 - an agent without grpc checks stays lighter
    from h2.connection import H2Connection  # noqa: PLC0415
    from h2.exceptions import ProtocolError  # noqa: PLC0415

    stream, secured = dialled.stream, dialled.secured
    if secured is not None and secured.tls.selected_alpn_protocol() != _ALPN:
        return Observation(
            AppFailed(Prose("the server offers no HTTP/2 inside TLS (ALPN h2), which gRPC needs"))
        )
    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    _request(check, connection)
    reply, is_first = Reply(), True
    while not reply.is_complete:
        told = connection.data_to_send()
        failed = await stream.send(told) if told else None
        data = failed if failed is not None else await stream.receive()
        if isinstance(data, Observation):
            return data
        if isinstance(data, Closed):
            how = "reset" if data.reset else "closed"
            return Observation(AppFailed(Prose(f"the connection was {how} before the answer")))
        if is_first and data.startswith(b"HTTP/1"):  # too short for a frame: h2 would wait for its rest
            return Observation(AppFailed(Prose("not HTTP/2: it answers in HTTP/1")))
        is_first = False
        try:
            take(reply, connection.receive_data(data))
        except (ProtocolError, UnicodeDecodeError) as error:
            return Observation(AppFailed(Prose(f"not HTTP/2: {error}"[:200])))
    return reply


def _request(check: Check, connection: H2Connection) -> None:
    address = check.target.address
    host = f"[{address}]" if ":" in address else address
    headers = [
        (":method", "POST"),
        (":scheme", "https" if wants_tls(check.probe) else "http"),
        (":path", _PATH),
        (":authority", check.probe.name or f"{host}:{check.probe.port or DEFAULT_PORT}"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "netprobe"),
        ("grpc-timeout", f"{max(1, check.probe.timeout_ns // 1_000_000)}m"),
    ]
    connection.initiate_connection()
    connection.send_headers(1, headers)
    connection.send_data(1, encode_request(check.probe.option("service")), end_stream=True)


def encode_request(service: str) -> bytes:
    """``HealthCheckRequest`` in its gRPC frame: flag, length, field 1 as a string.

    >>> encode_request("db").hex(" ")
    '00 00 00 00 04 0a 02 64 62'
    """
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\x00" + len(message).to_bytes(4, "big") + message


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes((low | 0x80, rest)) if rest else bytes((low,))


def decode_response(frame: bytes) -> int:
    """The health in a framed ``HealthCheckResponse``; raises :class:`RemoteFormatError`.

    >>> decode_response(bytes.fromhex("00 00 00 00 02 08 01"))
    1
    """
    if len(frame) < 5 or int.from_bytes(frame[1:5], "big") != len(frame) - 5:
        raise RemoteFormatError("the gRPC frame is torn")
    if frame[0]:
        raise RemoteFormatError("the gRPC message is compressed, though none was asked for")
    health, at = 0, 5
    while at < len(frame):
        tag, at = _read_varint(frame, at)
        value, at = _read_varint(frame, at)
        if tag & 7 == 2:  # a field with a length; none is known, so skip it
            at += value
        elif tag & 7 != 0:
            raise RemoteFormatError("the health reply is garbled")
        elif tag >> 3 == 1:
            health = value
    if at != len(frame):
        raise RemoteFormatError("the health reply is garbled")
    return health


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            break
        number |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return number, at
    raise RemoteFormatError("the health reply is garbled")


def take(reply: Reply, events: Iterable[Event]) -> None:
    """Add what HTTP/2 says to *reply*."""
    from h2 import events as h2  # noqa: PLC0415

    for event in events:
        match event:
            case h2.ResponseReceived() | h2.TrailersReceived():
                _take_headers(reply, {str(key): str(value) for key, value in event.headers or ()})
            case h2.DataReceived():
                reply.body += event.data or b""
                reply.is_complete |= len(reply.body) > MAX_REPLY_BYTES
            case h2.StreamReset() | h2.ConnectionTerminated() if not reply.is_complete:
                reply.trouble = f"the server ended the call (HTTP/2 error {int(event.error_code or 0)})"
                reply.is_complete = True
            case h2.StreamEnded():
                reply.is_complete = True


def _take_headers(reply: Reply, headers: dict[str, str]) -> None:
    reply.http_status = headers.get(":status", reply.http_status)
    reply.content_type = headers.get("content-type", reply.content_type)
    reply.status = headers.get("grpc-status", reply.status)
    reply.message = unquote(headers.get("grpc-message", reply.message))


def judge(reply: Reply, service: str, *, rtt_ns: int) -> tuple[Outcome, str]:
    """The outcome, and the health where the server told one."""
    about = f"service {service!r}" if service else "the server"
    if reply.trouble:
        return AppFailed(Prose(reply.trouble)), ""
    if reply.http_status != "200" or not reply.content_type.startswith("application/grpc"):
        answered = f"HTTP status {reply.http_status}, {reply.content_type or 'no type'}"
        return AppFailed(Prose(f"no gRPC: {answered}"[:200])), ""
    if reply.status != "0":
        return AppFailed(Prose(_describe_status(reply, service))), ""
    try:
        health = decode_response(bytes(reply.body))
    except RemoteFormatError as error:
        return AppFailed(Prose(str(error))), ""
    if health == _SERVING:
        return Reached(max(1, rtt_ns)), "SERVING"
    name = HEALTH[health] if health < len(HEALTH) else f"status {health}"
    return AppFailed(Prose(f"{about} says {name}")), name


def _describe_status(reply: Reply, service: str) -> str:
    """A call that failed: what its status means for a health check."""
    number = int(reply.status) if reply.status.isdecimal() and len(reply.status) < 4 else None
    if number == _NOT_FOUND:
        return f"the server knows no service {service!r} (NOT_FOUND)"
    if number == _UNIMPLEMENTED:
        return "the server speaks gRPC but offers no health checks (UNIMPLEMENTED)"
    known = number is not None and number < len(STATUS)
    name = STATUS[number] if known and number is not None else f"status {reply.status[:20] or 'missing'}"
    words = f": {reply.message}" if reply.message.isprintable() and reply.message else ""
    return f"the health check failed with {name}{words}"[:200]


KIND = ProbeKind(
    name="grpc",
    driver=StreamDriver(ask),
    validate=validate,
    options=("service", "tls", "resolve"),
)
