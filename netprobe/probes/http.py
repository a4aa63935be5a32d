"""``http``: GET a path over HTTP/1.1, plain or inside TLS, and judge the status and who answers.

Reads ``Probe.port`` (0 means 80, inside TLS 443), ``Probe.name`` (Host header and server name; empty for the
address), ``Probe.timeout_ns`` and the options ``path`` (default ``/``), ``status`` (default 200),
``identity`` (``no`` where the target is not an agent), ``tls`` (``yes`` for https) and ``resolve`` (``yes``:
resolve the name first, as this host does; the target is asked whatever it resolves to). Each phase has its
own duration: ``resolve``, ``connect``, ``tls``, ``first-byte``. The certificate is judged as by ``tls``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netprobe.errors import InputError, RemoteFormatError
from netprobe.model.check import Check, Probe, TargetKind
from netprobe.model.outcome import AppFailed, Reached
from netprobe.model.prose import Prose
from netprobe.probes.connection_phases import dial, validate_dial_options, wants_tls
from netprobe.probes.kind import ProbeKind, StreamDriver, VectorColumn
from netprobe.probes.net import Closed, Net, Stream
from netprobe.probes.observation import Observation, judge_identity
from netprobe.probes.parameters import check_port, refuse_size
from netprobe.probes.tls import judge_certificate_too
from netprobe.wire.identity import decode_identity

if TYPE_CHECKING:
    import h11


DEFAULT_PORT, DEFAULT_TLS_PORT = 80, 443
MAX_BODY_BYTES = 64 * 1024


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    check_port(probe)
    refuse_size(probe)
    validate_dial_options(probe)
    status, path = probe.option("status", "200"), probe.option("path", "/")
    if not (status.isdecimal() and 100 <= int(status) <= 599):
        raise InputError(f"{status!r} is not an HTTP status", where="options.status")
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
        raise InputError(
            f"{path!r} is not a path: it must start with / and contain no spaces", where="options.path"
        )
    if not probe.name.isascii() or not probe.name.isprintable():
        raise InputError(f"{probe.name!r} cannot be a Host header", where="name")


async def ask(check: Check, net: Net) -> Observation:
    """Reached when the expected status (and the expected agent) answers."""
    tls = wants_tls(check.probe)
    port = check.probe.port or (DEFAULT_TLS_PORT if tls else DEFAULT_PORT)
    dialled = await dial(check, net, port=port, tls=tls, protocols=("http/1.1",))
    if isinstance(dialled, Observation):
        return dialled
    try:
        reply = await _converse(check, dialled.stream, net)
    finally:
        dialled.stream.close()
    if isinstance(reply, Observation):
        return reply._replace(phases_ns=dialled.phases_ns, facts=dialled.facts)
    status, body, first_byte_ns = reply
    phases = (*dialled.phases_ns, ("first-byte", first_byte_ns - dialled.ready_ns))
    seen = _judge(check, status, body, rtt_ns=first_byte_ns - dialled.began_ns)
    return judge_certificate_too(
        seen._replace(phases_ns=phases, facts=dialled.facts), dialled, check.probe.name, net
    )


async def _converse(check: Check, stream: Stream, net: Net) -> tuple[int, bytes, int] | Observation:
    import h11  # noqa: PLC0415 - an agent without http checks stays lighter

    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=16 * 1024)
    failed = await stream.send(_request(check, connection))
    if failed is not None:
        return _ended(failed)
    reader = _ResponseReader(connection)
    first_byte_ns: int | None = None
    while not reader.is_complete:
        data = await stream.receive()
        if isinstance(data, Observation):
            return data
        if isinstance(data, Closed) and data.reset:
            return _ended(data)
        first_byte_ns = net.now_ns() if first_byte_ns is None else first_byte_ns
        try:
            reader.feed(b"" if isinstance(data, Closed) else data)
        except h11.RemoteProtocolError as error:
            return Observation(AppFailed(Prose(f"not HTTP: {error}"[:200])))
    assert first_byte_ns is not None
    return reader.status, bytes(reader.body), first_byte_ns


class _ResponseReader:
    """Collects one response."""

    def __init__(self, connection: h11.Connection) -> None:
        self._connection = connection
        self.status = 0
        self.body = bytearray()
        self.is_complete = False

    def feed(self, data: bytes) -> None:
        import h11  # noqa: PLC0415

        self._connection.receive_data(data)
        while not self.is_complete:
            event = self._connection.next_event()
            if event is h11.NEED_DATA:
                return
            if isinstance(event, h11.Response):
                self.status = event.status_code
            elif isinstance(event, h11.Data):
                self.body += event.data
            if isinstance(event, h11.EndOfMessage) or len(self.body) > MAX_BODY_BYTES:
                self.is_complete = True


def _request(check: Check, connection: h11.Connection) -> bytes:
    import h11  # noqa: PLC0415

    address = check.target.address
    host = check.probe.name or (f"[{address}]" if ":" in address else address)
    headers = [("Host", host), ("User-Agent", "netprobe"), ("Connection", "close")]
    asked = h11.Request(method="GET", target=check.probe.option("path", "/"), headers=headers)
    return (connection.send(asked) or b"") + (connection.send(h11.EndOfMessage()) or b"")


def _ended(why: Closed | Observation) -> Observation:
    if isinstance(why, Observation):
        return why
    return Observation(
        AppFailed(Prose("the connection was reset" if why.reset else "the connection was closed"))
    )


def _judge(check: Check, status: int, body: bytes, *, rtt_ns: int) -> Observation:
    if status != int(check.probe.option("status", "200")):
        wanted = check.probe.option("status", "200")
        return Observation(
            AppFailed(Prose(f"HTTP status {status}" + (f", not {wanted}" if wanted != "200" else "")))
        )
    if check.target.kind is TargetKind.OUTSIDE or check.probe.option("identity") == "no":
        return Observation(Reached(rtt_ns))
    try:
        identity = decode_identity(body)
    except RemoteFormatError as error:
        return Observation(AppFailed(Prose(str(error))))
    outcome = judge_identity(check, identity.agent, rtt_ns=rtt_ns)
    return Observation(outcome, answered_by=identity.agent)


KIND = ProbeKind(
    name="http",
    driver=StreamDriver(ask),
    validate=validate,
    options=("path", "status", "identity", "tls", "resolve"),
    asks_agent_port=True,
    default_for=(TargetKind.SERVICE,),
    host_tools=("curl",),
    column=VectorColumn.TCP,
)
