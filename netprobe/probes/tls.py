"""``tls``: shake hands and look at what is shown (RFC 8446): version, chain, expiry, names; no trust needed.

Reads ``Probe.port`` (0 means 443), ``Probe.name`` (server name asked for, and then expected in the
certificate) and ``Probe.timeout_ns``. Reached when the handshake completes, the leaf is within its time and,
where a name was asked for, bears it (RFC 9525, section 6.3). Whether its root is to be trusted is for people
to say: its fingerprint is reported.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from netprobe.model.check import Check, Probe
from netprobe.model.outcome import Outcome, Reached, TlsFailed
from netprobe.model.prose import Prose
from netprobe.probes.connection_phases import OpenedConnection, dial
from netprobe.probes.kind import ProbeKind, StreamDriver
from netprobe.probes.net import Net
from netprobe.probes.observation import Observation, make_facts
from netprobe.probes.parameters import check_port, check_server_name, refuse_size

DEFAULT_PORT = 443
_DER = 2  # _ssl.ENCODING_DER
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before_ns: int
    """Wall time."""
    not_after_ns: int
    fingerprint: str
    """SHA-256 of the DER."""


def validate(probe: Probe) -> None:
    """Refuse parameters that cannot be asked."""
    check_port(probe)
    refuse_size(probe)
    check_server_name(probe.name)


async def ask(check: Check, net: Net) -> Observation:
    """Connect, shake hands, judge what was shown."""
    dialled = await dial(check, net, port=check.probe.port or DEFAULT_PORT, tls=True)
    if isinstance(dialled, Observation):
        return dialled
    dialled.stream.close()
    secured = dialled.secured
    assert secured is not None
    chain = read_chain(secured.tls)
    rtt_ns = dialled.ready_ns - dialled.began_ns
    outcome = judge(chain, check.probe.name, rtt_ns=rtt_ns, wall_ns=net.wall_ns())
    cipher = secured.tls.cipher()
    version = f"{secured.tls.version()}{f', {cipher[0]}' if cipher else ''}"
    facts = make_facts((("version", version), *describe(chain)))
    return Observation(outcome, phases_ns=dialled.phases_ns, facts=facts)


def judge_certificate_too(seen: Observation, dialled: OpenedConnection, name: str, net: Net) -> Observation:
    """A conversation inside TLS: a certificate that does not fit is the outcome of what was reached."""
    secured = dialled.secured
    if secured is None:
        return seen
    chain = read_chain(secured.tls)
    told = f"{secured.tls.version()}" + (f", expires {_date(chain[0].not_after_ns)}" if chain else "")
    outcome = judge(chain, name, rtt_ns=1, wall_ns=net.wall_ns())
    if isinstance(outcome, TlsFailed) and isinstance(seen.outcome, Reached):
        seen = seen._replace(outcome=outcome)
    return seen._replace(facts=(*seen.facts, ("certificate", Prose(told))))


def read_chain(tls: ssl.SSLObject) -> tuple[Certificate, ...]:
    """The certificates as they were sent, leaf first.

    Public only since Python 3.13 (and there without a decoder), so the object below is asked.
    """
    inner: Any = tls._sslobj  # type: ignore[attr-defined]
    return tuple(_read(one.get_info(), one.public_bytes(_DER)) for one in inner.get_unverified_chain() or ())


def _read(info: Mapping[str, Any], der: bytes) -> Certificate:
    return Certificate(
        subject=_common_name(info.get("subject", ())),
        issuer=_common_name(info.get("issuer", ())),
        names=tuple(value for kind, value in info.get("subjectAltName", ()) if kind in {"DNS", "IP Address"}),
        not_before_ns=ssl.cert_time_to_seconds(info["notBefore"]) * 1_000_000_000,
        not_after_ns=ssl.cert_time_to_seconds(info["notAfter"]) * 1_000_000_000,
        fingerprint=hashlib.sha256(der).hexdigest(),
    )


def _common_name(parts: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    flat = [pair for part in parts for pair in part]
    named = next((value for key, value in flat if key == "commonName"), "")
    return named or ", ".join(value for _, value in flat)


def judge(chain: tuple[Certificate, ...], name: str, *, rtt_ns: int, wall_ns: int) -> Outcome:
    """Whether the leaf is within its time and bears *name* (any, where none is asked for)."""
    if not chain:
        return TlsFailed(Prose("the server shows no certificate"))
    leaf = chain[0]
    if wall_ns > leaf.not_after_ns:
        return TlsFailed(
            Prose(f"the certificate expired {(wall_ns - leaf.not_after_ns) // _DAY_NS} days ago")
        )
    if wall_ns < leaf.not_before_ns:
        return TlsFailed(Prose("the certificate is not valid yet"))
    if name and not any(is_name_of(name, pattern) for pattern in leaf.names):
        return TlsFailed(
            Prose(f"the certificate is for {', '.join(leaf.names[:5]) or 'nobody'}, not for {name}")
        )
    return Reached(max(1, rtt_ns))


def is_name_of(name: str, pattern: str) -> bool:
    """Whether a certificate's name covers *name*; ``*`` stands for exactly one whole first label.

    >>> is_name_of("a.example.org", "*.example.org"), is_name_of("a.b.example.org", "*.example.org")
    (True, False)
    """
    name, pattern = name.rstrip(".").lower(), pattern.rstrip(".").lower()
    if pattern.startswith("*."):
        return name.partition(".")[2] == pattern[2:] and bool(name.partition(".")[0])
    return name == pattern


def describe(chain: tuple[Certificate, ...]) -> Iterator[tuple[str, str]]:
    """The leaf, then the chain up to its top."""
    if not chain:
        return
    leaf, top = chain[0], chain[-1]
    yield "subject", leaf.subject
    yield "names", ", ".join(leaf.names[:10])
    yield "expires", _date(leaf.not_after_ns)
    yield "chain", " < ".join([one.subject for one in chain] + ([top.issuer] if len(chain) == 1 else []))
    yield "top of chain", f"sha256 {top.fingerprint}"


def _date(wall_ns: int) -> str:
    return datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC).isoformat()


KIND = ProbeKind(
    name="tls",
    driver=StreamDriver(ask),
    validate=validate,
)
