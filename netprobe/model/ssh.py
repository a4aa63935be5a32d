"""SSH access to hosts, gateways and bastions, as configured.

Rule: only paths and public data are stored; a private key is named by its file, never stored.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SshHop:
    """One SSH server on the way, and the login we use there.

    Empty fields are taken from ``~/.ssh/config``, then from OpenSSH's defaults.
    """

    host: str
    """An address, a name, or a ``Host`` of ``~/.ssh/config``."""
    user: str = ""
    port: int | None = None
    key: str = ""
    """Path of the private key file; ``~`` is the home directory. Empty: the SSH agent's or default keys."""
    certificate: str = ""
    """Path of the OpenSSH certificate of *key*."""
    host_key: str = ""
    """The pinned public key of the server, as in ``ssh-ed25519 AAAA…``; empty: *known_hosts* decides."""
    known_hosts: str = ""
    """Path of the file with the server's key; empty: ``~/.ssh/known_hosts``."""

    def __str__(self) -> str:
        at = f"{self.user}@{self.host}" if self.user else self.host
        return f"{at}:{self.port}" if self.port else at


@dataclass(frozen=True, slots=True)
class SshAccess:
    """Access to a host: its own SSH server, and the jump hosts on the way, nearest to us first."""

    target: SshHop
    jumps: tuple[SshHop, ...] = ()
    agent: bool = True
    """Whether keys of the caller's SSH agent may be used."""
    sudo: bool = False
    """Whether commands that need privilege run with ``sudo -n``."""
    bus_port: int | None = None
    """Loopback port on the host at which its agent reaches the bus, forwarded through our SSH connection, for
    hosts without another way to the bus."""


@dataclass(frozen=True, slots=True)
class SshForward:
    """A TCP service that only a host behind SSH can reach: a closed API server, or a hub."""

    name: str
    host: str
    """Its address or name, as the host at the end of *through* sees it."""
    port: int
    through: SshAccess
