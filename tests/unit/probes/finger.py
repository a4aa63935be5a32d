"""``finger``: ask a host about a user (RFC 1288). netprobe has no such kind; a new one is a file like this.

Reads ``Probe.port`` (0 means 79), ``Probe.timeout_ns`` and the options ``user`` and ``whois`` (``yes`` for a
long answer: RFC 1288, section 2.5.4).
"""

from __future__ import annotations

from netprobe.model.check import Check, Probe
from netprobe.model.outcome import AppFailed, Reached
from netprobe.model.prose import Prose
from netprobe.model.units import SECOND_NS
from netprobe.probes.kind import ProbeKind, StreamDriver
from netprobe.probes.net import Closed, Net
from netprobe.probes.observation import Observation
from netprobe.probes.parameters import check_choice, check_port, refuse_size

DEFAULT_PORT = 79


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    check_port(probe)
    check_choice(probe, "whois", "no", "yes")
    refuse_size(probe)


async def ask(check: Check, net: Net) -> Observation:
    """Reached when the server says anything before it closes the connection."""
    began_ns = net.now_ns()
    stream = await net.connect(check, port=check.probe.port or DEFAULT_PORT)
    if isinstance(stream, Observation):
        return stream
    user, verbose = check.probe.option("user"), check.probe.option("whois") == "yes"
    try:
        await stream.send(f"{'/W ' if verbose else ''}{user}\r\n".encode())
        answer = await stream.receive()
    finally:
        stream.close()
    match answer:
        case Observation():
            return answer
        case Closed():
            return Observation(AppFailed(Prose("the finger server said nothing")))
        case bytes():
            line = answer.decode(errors="replace").splitlines()[0]
            return Observation(Reached(net.now_ns() - began_ns), facts=(("user", Prose(line)),))


KIND = ProbeKind(
    name="finger",
    driver=StreamDriver(ask),
    validate=validate,
    options=("user", "whois"),
    default_timeout_ns=7 * SECOND_NS,
    asks_agent_port=True,
)
