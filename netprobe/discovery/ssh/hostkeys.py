"""Which server keys are trusted: the pinned one, else those of a known-hosts file; never any other.

Rule: asyncssh asks us for the keys of each server, so that no line of ``~/.ssh/config`` can switch the
check off.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh

from netprobe.discovery.ssh.errors import HostKeyError, SshError

if TYPE_CHECKING:
    from netprobe.model.ssh import SshHop

DEFAULT_KNOWN_HOSTS = "~/.ssh/known_hosts"


@dataclass(slots=True)
class TrustedKeys:
    """The keys of one server that we trust; called by asyncssh, remembers why it refused."""

    hop: SshHop
    _told: list[asyncssh.SSHKey] = field(default_factory=list)

    def __call__(self, host: str, addr: str, port: int | None) -> tuple[list[asyncssh.SSHKey], ...]:
        """Trusted keys, trusted certificate authorities, revoked keys."""
        if self.hop.host_key:
            keys, authorities, revoked = [asyncssh.import_public_key(self.hop.host_key)], [], []
        else:
            keys, authorities, revoked = (
                list(part) for part in self._read().match(host, addr, port or None)[:3]
            )
        self._told = [*keys, *authorities]
        return keys, authorities, revoked

    def refusal(self, error: asyncssh.Error) -> SshError | None:
        """What a failed handshake says about the server's key; None where it was about something else."""
        mismatch = isinstance(error, asyncssh.KeyExchangeFailed) and "host key" in str(error).lower()
        if not isinstance(error, asyncssh.HostKeyNotVerifiable) and not mismatch:
            return None
        if not self._told:
            return HostKeyError(
                f"{self.hop}: its host key is not known: compare it on the host, then pin it as host_key "
                f"or add it to {self._path()}"
            )
        known = ", ".join(key.get_fingerprint() for key in self._told)
        where = "the pinned host_key" if self.hop.host_key else str(self._path())
        return HostKeyError(
            f"{self.hop}: ITS HOST KEY HAS CHANGED: it is not {known} of {where}; "
            "nothing was sent, find out why before you trust it"
        )

    def _path(self) -> Path:
        return Path(self.hop.known_hosts or DEFAULT_KNOWN_HOSTS).expanduser()

    def _read(self) -> asyncssh.SSHKnownHosts:
        path = self._path()
        try:
            return asyncssh.import_known_hosts(path.read_text())
        except FileNotFoundError:
            return asyncssh.import_known_hosts("")
        except (OSError, ValueError) as error:
            raise HostKeyError(f"{path}: cannot be read as known hosts: {type(error).__name__}") from error
