"""How a conversation begins: resolve the name, connect, shake hands; each a phase with its own duration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netprobe.model.check import Check, Probe
from netprobe.probes.name_resolution import resolve
from netprobe.probes.net import Net, Stream
from netprobe.probes.observation import Facts, Observation, make_facts
from netprobe.probes.parameters import check_choice, check_dns_name, check_server_name
from netprobe.probes.tls_stream import SecureStream

Phases = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class OpenedConnection:
    """A connection, and how it came about."""

    stream: Stream
    began_ns: int
    """When the connection was begun; resolving is before that."""
    ready_ns: int
    """When the first byte could be sent."""
    phases_ns: Phases
    facts: Facts = ()

    @property
    def secured(self) -> SecureStream | None:
        """The TLS inside, if it is."""
        return self.stream if isinstance(self.stream, SecureStream) else None


def validate_dial_options(probe: Probe) -> None:
    """The options ``tls`` and ``resolve`` of the kinds that dial."""
    check_choice(probe, "tls", "no", "yes")
    check_choice(probe, "resolve", "no", "yes")
    if wants_tls(probe):
        check_server_name(probe.name)
    if probe.option("resolve") == "yes":
        check_dns_name(probe.name)


def wants_tls(probe: Probe) -> bool:
    """Whether the conversation shall run inside TLS."""
    return probe.option("tls") == "yes"


async def dial(
    check: Check, net: Net, *, port: int, tls: bool, protocols: Sequence[str] = ()
) -> OpenedConnection | Observation:
    """Open the connection; where a phase fails, its outcome, with the durations of those before it."""
    phases: Phases = ()
    facts: Facts = ()
    if check.probe.option("resolve") == "yes":
        asked_ns = net.now_ns()
        addresses = await resolve(check, net, check.probe.name)
        phases = (("resolve", net.now_ns() - asked_ns),)
        if isinstance(addresses, Observation):
            return addresses._replace(phases_ns=phases)
        facts = make_facts(_judge_addresses(check, addresses))
    began_ns = net.now_ns()
    stream = await net.connect(check, port=port)
    if isinstance(stream, Observation):
        return stream._replace(phases_ns=phases, facts=facts) if phases else stream
    ready_ns = net.now_ns()
    phases = (*phases, ("connect", ready_ns - began_ns))
    if not tls:
        return OpenedConnection(stream, began_ns, ready_ns, phases, facts)
    secured = SecureStream(stream, name=check.probe.name, protocols=protocols)
    try:
        failed = await secured.shake_hands()
    except BaseException:
        stream.close()
        raise
    if failed is not None:
        stream.close()
        return failed._replace(phases_ns=phases, facts=facts)
    shaken_ns = net.now_ns()
    phases = (*phases, ("tls", shaken_ns - ready_ns))
    return OpenedConnection(secured, began_ns, shaken_ns, phases, facts)


def _judge_addresses(check: Check, addresses: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The name's addresses; the target is asked all the same, for it is the one that may be asked."""
    told = ", ".join(addresses[:10])
    if check.target.address not in addresses:
        told += f"; asked is {check.target.address}, which is none of them"
    yield "resolved", told
