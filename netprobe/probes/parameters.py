"""Checks of parameters that several kinds share; each raises :class:`InputError` with the field's name."""

from __future__ import annotations

from netprobe.errors import InputError
from netprobe.model.check import Probe


def check_port(probe: Probe, *, least: int = 0) -> None:
    """A port number; *least* 0 lets the kind choose its own."""
    if not least <= probe.port <= 65535:
        raise InputError(f"port {probe.port} is not within 1–65535", where="port")


def refuse_size(probe: Probe) -> None:
    """For kinds that choose how large their packets are."""
    if probe.size:
        raise InputError(f"size {probe.size}: {probe.kind} chooses its own packet sizes", where="size")


def check_choice(probe: Probe, key: str, *choices: str) -> None:
    """An option that is one of a few words; absent means the first."""
    told = probe.option(key, choices[0])
    if told not in choices:
        known = f"neither {' nor '.join(choices)}" if len(choices) == 2 else f"none of {', '.join(choices)}"
        raise InputError(f"{told!r} is {known}", where=f"options.{key}")


def check_server_name(name: str) -> None:
    """What a TLS client may ask for (RFC 6066, section 3); empty asks for none."""
    printable = name.isascii() and name.isprintable() and " " not in name
    if name and (not printable or len(name) > 253 or name.startswith(".")):
        raise InputError(f"{name!r} cannot be a server name", where="name")


def check_dns_name(name: str) -> None:
    """RFC 1035, section 2.3.4: labels of 1–63 bytes, 253 characters in all."""
    labels = name.rstrip(".").split(".")
    if not all(0 < len(label) <= 63 for label in labels) or len(name) > 253:
        raise InputError(f"{name!r} is not a DNS name", where="name")
    if not name.isascii() or not name.isprintable() or " " in name:
        raise InputError(f"{name!r} is not a DNS name", where="name")
