"""Options of a packet's own header, shared by the kinds that send single packets or connect.

``dscp`` (0–63; RFC 2474, section 3), ``ttl`` (1–255), ``fragments`` (``yes``: the datagram goes out in
fragments, RFC 791 section 2.3, RFC 8200 section 4.5) and ``source-port`` (``40000`` or ``40000-40015``: each
probe of a question takes the next one). A kind lists the keys that it reads in ``ProbeKind.options``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from netprobe.errors import InputError
from netprobe.model.check import Probe

DSCP, TTL, FRAGMENTS, SOURCE_PORT = "dscp", "ttl", "fragments", "source-port"
KEYS = (DSCP, TTL, FRAGMENTS, SOURCE_PORT)
MOST_SOURCE_PORTS = 64
FRAGMENTED_BYTES = 4_000
"""Size of the IP packet before it is fragmented, where the question names none."""


@dataclass(frozen=True, slots=True)
class PacketOptions:
    """What a probe's packets look like where it is not the default."""

    dscp: int = 0
    ttl: int = 0
    """TTL or hop limit; 0 for the host's own default."""
    in_fragments: bool = False
    source_ports: range = range(0)
    """Empty where the kernel chooses."""

    @property
    def traffic_class(self) -> int:
        """The whole octet: DSCP, and no ECN (RFC 3168, section 5)."""
        return self.dscp << 2

    @property
    def is_plain(self) -> bool:
        """Whether the header differs in nothing that a message to the kernel could say."""
        return not (self.dscp or self.ttl or self.in_fragments)

    def source_port(self, turn: int) -> int:
        """The port of the probe of that number; 0 where the kernel chooses."""
        return self.source_ports[turn % len(self.source_ports)] if self.source_ports else 0


PLAIN = PacketOptions()


def packet_options_of(probe: Probe) -> PacketOptions:
    """What the options of *probe* say; :class:`InputError` naming the one that cannot be meant.

    >>> packet_options_of(Probe("icmp", options=(("dscp", "64"),)))
    Traceback (most recent call last):
        ...
    netprobe.errors.InputError: options.dscp: '64' is not within 0–63
    """
    return _read(probe.options) if probe.options else PLAIN


def without_packet_options(probe: Probe) -> tuple[tuple[str, str], ...]:
    """The options of *probe* that say nothing about its header: its question with the default header."""
    return tuple((key, value) for key, value in probe.options if key not in KEYS)


def sized(probe: Probe) -> int:
    """``Probe.size``, or what a datagram in fragments has where the question names none."""
    return probe.size or (FRAGMENTED_BYTES if packet_options_of(probe).in_fragments else 0)


@lru_cache(maxsize=256)
def _read(options: tuple[tuple[str, str], ...]) -> PacketOptions:
    told = dict(options)
    fragments = told.get(FRAGMENTS, "no")
    if fragments not in {"no", "yes"}:
        raise InputError(f"{fragments!r} is neither no nor yes", where=f"options.{FRAGMENTS}")
    return PacketOptions(
        _number(told.get(DSCP, "0"), DSCP, 0, 63),
        _number(told[TTL], TTL, 1, 255) if TTL in told else 0,
        fragments == "yes",
        _ports(told[SOURCE_PORT]) if SOURCE_PORT in told else range(0),
    )


def _number(text: str, key: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdecimal()) or not low <= int(text) <= high:
        raise InputError(f"{text!r} is not within {low}–{high}", where=f"options.{key}")
    return int(text)


def _ports(text: str) -> range:
    first, dash, last = text.partition("-")
    low = _number(first, SOURCE_PORT, 1, 65_535)
    high = _number(last, SOURCE_PORT, 1, 65_535) if dash else low
    if not low <= high < low + MOST_SOURCE_PORTS:
        raise InputError(
            f"{text!r} is not a port or a range of at most {MOST_SOURCE_PORTS}",
            where=f"options.{SOURCE_PORT}",
        )
    return range(low, high + 1)
