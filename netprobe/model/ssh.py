"""How a plain host, gateway or bastion is reached over SSH, as people write it down.

Rule: paths and public things only. A private key is named by its file, never held here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SshHop:
    """One SSH server on the way, and who we are to it.

    What is left empty is taken from ``~/.ssh/config``, then from OpenSSH's defaults.
    """

    host: str
    """An address, a name, or a ``Host`` of ``~/.ssh/config``."""
    user: str = ""
    port: int | None = None
    key: str = ""
    """Path of the private key file, ``~`` is home. Empty: the agent's keys, or the default ones."""
    certificate: str = ""
    """Path of the OpenSSH certificate that goes with *key*."""
    host_key: str = ""
    """The pinned public key of the server, as in ``ssh-ed25519 AAAA…``; empty: *known_hosts* decides."""
    known_hosts: str = ""
    """Path of the file that knows the server's key; empty: ``~/.ssh/known_hosts``."""

    def __str__(self) -> str:
        at = f"{self.user}@{self.host}" if self.user else self.host
        return f"{at}:{self.port}" if self.port else at


@dataclass(frozen=True, slots=True)
class SshAccess:
    """The way to a host: its own SSH server, and the jump hosts before it, nearest to us first."""

    target: SshHop
    jumps: tuple[SshHop, ...] = ()
    agent: bool = True
    """Whether keys held by the SSH agent of whoever asks may be used."""
    sudo: bool = False
    """Whether commands that need privilege go through ``sudo -n``."""
    bus_port: int | None = None
    """Loopback port of the host at which its agent finds the bus, brought there through our own connection:
    for hosts without another way out."""


@dataclass(frozen=True, slots=True)
class SshForward:
    """A TCP service that only a host behind SSH can reach: a closed API server, a hub."""

    name: str
    host: str
    """Its address or name, as the host at the end of *through* sees it."""
    port: int
    through: SshAccess
