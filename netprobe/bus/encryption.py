"""Where the bus may be spoken with in plain text: on the loopback of one machine and nowhere else.

Rule: there is no option against it. A plan holds keys and a token opens the bus, so who has an encrypted
network of their own gives the bus a certificate all the same.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from netprobe.errors import InputError

ENCRYPTED = frozenset({"tls", "wss"})
_SCHEMES = ENCRYPTED | {"nats", "ws"}


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine's loopback, by number or as ``localhost``.

    >>> [is_loopback(host) for host in ("127.0.0.2", "::1", "localhost", "0.0.0.0", "10.0.0.1", "hub")]
    [True, True, True, False, False, False]
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def expect_url(url: str, *, at: str = "", where: str = "") -> None:
    """Raise :class:`InputError` if *url* is not an address of a bus, or would be spoken with in plain text.

    *at* is ``IP:PORT`` to find it at; *where* names the option that told it.
    """
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
        hosts = [parts.hostname or "", *([urlsplit(f"//{at}").hostname or ""] if at else ())]
    except ValueError:
        is_good = False
    if not is_good:
        raise InputError(f"{url!r} is not an address such as tls://host:4222", where=where)
    if parts.scheme not in ENCRYPTED and not all(map(is_loopback, hosts)):
        encrypted = url.replace("nats://", "tls://", 1).replace("ws://", "wss://", 1)
        told = f"{url} would be plain text beyond this machine: use {encrypted}"
        raise InputError(f"{told}, and --ca FILE for an authority of your own", where=where)


def expect_encrypted(url: str, *, where: str = "") -> None:
    """Raise :class:`InputError` if *url* is not the address of a bus with TLS, even on loopback."""
    expect_url(url, where=where)
    if urlsplit(url).scheme not in ENCRYPTED:
        raise InputError(f"{url} is plain text: others need tls://", where=where)


def can_be_at(url: str, at: str) -> bool:
    """Whether the bus of *url* may be looked for at *at* (``IP:PORT``)."""
    try:
        expect_url(url, at=at)
    except InputError:
        return False
    return True
